import assert from 'node:assert/strict'
import type { CountEvent } from '@countersink/shared/event'
import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import { parsePacked } from '@countersink/shared/packed/packed-reader'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import type { BulkPart } from './bulk-part.ts'

/** How many events may come between two looks at whether a record is full. */
export const EVENTS_PER_LOOK = 16
const EVENTS_MAX = PACKED_LIMITS.eventsMax - EVENTS_PER_LOOK
const BYTES_MAX = PACKED_LIMITS.valueBytesMax - EVENTS_PER_LOOK * PACKED_LIMITS.eventBytesMax
const IDLE_WRITERS_MAX = 64

const idleWriters: PackedWriter[] = []

/** A packed record that bulk calls write their events of one partition to, until it leaves. */
export class BulkRecord {
  readonly partition: number
  /** Whose events are its last ones. */
  part: BulkPart | undefined
  readonly #bytesMax: number
  #writer: PackedWriter | undefined
  #value: Buffer | undefined
  #events: CountEvent[] | undefined

  constructor(partition: number, bytesMax: number) {
    this.partition = partition
    this.#bytesMax = Math.min(bytesMax, BYTES_MAX)
    this.#writer = idleWriters.pop() ?? new PackedWriter()
  }

  /** Undefined once it is closed. */
  get writer(): PackedWriter | undefined {
    return this.#writer
  }

  /** Of its value, as far as it is written. */
  get byteLength(): number {
    return this.#writer?.byteLength ?? this.#value?.length ?? 0
  }

  isFull(): boolean {
    const writer = this.#writer
    return writer === undefined || writer.count >= EVENTS_MAX || writer.byteLength >= this.#bytesMax
  }

  /** The record's value; nothing can be written to it any more. */
  close(): Buffer {
    if (this.#writer !== undefined) {
      this.#value = this.#writer.finish()
      if (idleWriters.length < IDLE_WRITERS_MAX) idleWriters.push(this.#writer)
      this.#writer = undefined
    }
    assert.ok(this.#value !== undefined)
    return this.#value
  }

  /** Its events, read back from it. */
  events(): readonly CountEvent[] {
    if (this.#events !== undefined) return this.#events
    const parsed = parsePacked(this.close())
    assert.ok(parsed.ok, 'what was packed here can be read')
    this.#events = parsed.events.map((one) => {
      assert.ok(one.ok, 'only valid events are packed')
      return one.event
    })
    return this.#events
  }
}
