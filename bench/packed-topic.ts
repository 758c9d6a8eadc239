import { randomBytes } from 'node:crypto'
import type { ProducerHeader } from '@countersink/shared/kafka/producer'
import { packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { COUNTER, type LoadEvent } from './loads.ts'

const EVENTS_PER_RECORD = 2000
/** One in ten records is a copy: the ninth, eighteenth, … is sent twice. */
const COPY_AFTER = 9
/** How many records later a copy comes when it is not to follow at once. */
const COPY_LATER = 5

export type PackedRecord = {
  key: null
  value: Buffer
  headers: readonly ProducerHeader[]
  events: number
  copy: boolean
}

type Lane = {
  writer: PackedWriter
  sequence: number
  records: number
  /** Copies and how many records of the partition are still to come before them. */
  due: { record: PackedRecord; after: number }[]
}

/** Packs events by partition as the SDK does, with ids of its form, and repeats records. */
export class PackedTopic {
  readonly #session = sessionName()
  readonly #lanes: Lane[]
  readonly #copyLater: number
  readonly #emit: (partition: number, record: PackedRecord) => void

  constructor(
    partitions: number,
    copyDistanceMax: number,
    emit: (partition: number, record: PackedRecord) => void,
  ) {
    this.#lanes = Array.from({ length: partitions }, () => {
      return { writer: new PackedWriter(), sequence: 0, records: 0, due: [] }
    })
    this.#copyLater = copyDistanceMax > 1 ? COPY_LATER : 0
    this.#emit = emit
  }

  add(partition: number, key: string, event: LoadEvent): void {
    const lane = this.#lanes[partition]
    if (lane === undefined) throw new RangeError(`there is no partition ${partition}`)
    const { writer } = lane
    const { at, delta } = event
    writer.addMade(this.#session, partition, lane.sequence++, COUNTER, key, undefined, at, delta)
    if (writer.count >= EVENTS_PER_RECORD) this.#close(partition, lane)
  }

  /** Sends what is left in all partitions. */
  finish(): void {
    for (const [partition, lane] of this.#lanes.entries()) {
      if (lane.writer.count > 0) this.#close(partition, lane)
      for (const { record } of lane.due.splice(0)) this.#emit(partition, record)
    }
  }

  #close(partition: number, lane: Lane): void {
    const events = lane.writer.count
    const value = lane.writer.finish()
    const record = { key: null, value, headers: packedHeaders, events, copy: false }
    this.#emit(partition, record)
    if (++lane.records % COPY_AFTER === 0) {
      lane.due.push({ record: { ...record, copy: true }, after: this.#copyLater })
    }
    while (lane.due[0] !== undefined && lane.due[0].after-- <= 0) {
      const copy = lane.due.shift()
      if (copy !== undefined) this.#emit(partition, copy.record)
    }
  }
}

/** 25 characters of the form that the SDK gives its sessions. */
function sessionName(): string {
  const start = Date.now().toString(36).padStart(9, '0').slice(-9)
  return `${start}${randomBytes(12).toString('base64url')}`
}
