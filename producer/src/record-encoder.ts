import { formatEvent } from '@countersink/shared/event'
import type { ProducerRecord } from '@countersink/shared/kafka/producer'
import { PACKED_LIMITS, packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { recordKey } from '@countersink/shared/routing'
import type { BulkRecord } from './bulk-record.ts'
import type { Pending } from './pending.ts'
import type { PendingEvent } from './pending-event.ts'
import type { SessionIds } from './session-ids.ts'

/** How events lie in the topic: many in one record, or each as JSON in a record of its own. */
export type EventFormat = 'packed' | 'json'

/** What is sent, and sent again, as it is: a copy of an event is always the same. */
export type EncodedBatch = {
  readonly pendings: readonly Pending[]
  readonly records: readonly ProducerRecord[]
}

/**
 * Makes the records of one partition's next batch, and the ids that are still to be made. It may
 * leave the last ones out when they are larger than they looked.
 */
export type RecordEncoder = (pendings: readonly Pending[]) => EncodedBatch

/** What a record of one event takes beside its key and value: eight short varints at most. */
const RECORD_OVERHEAD_BYTES = 16
const RECORD_BYTES_MAX = PACKED_LIMITS.valueBytesMax - PACKED_LIMITS.eventBytesMax

export function createRecordEncoder(
  format: EventFormat,
  ids: SessionIds,
  batchBytesMax: number,
): RecordEncoder {
  if (format === 'json') return (pendings) => encodeJson(pendings, ids, batchBytesMax)
  const writer = new PackedWriter()
  const recordBytesMax = Math.min(batchBytesMax, RECORD_BYTES_MAX)
  return (pendings) => encodePacked(pendings, ids, writer, recordBytesMax)
}

function encodeJson(pendings: readonly Pending[], ids: SessionIds, bytesMax: number): EncodedBatch {
  const records: ProducerRecord[] = []
  let bytes = 0
  for (const pending of pendings) {
    if (bytes > bytesMax) break
    if (pending.record !== undefined) throw new Error('bulk records are packed')
    pending.id ??= ids.next(pending.lane)
    pending.recordNumber = records.length
    const key = recordKey(pending.lane.counter.name, pending.key)
    const value = Buffer.from(formatEvent(pending.event()))
    bytes += key.length + value.length + RECORD_OVERHEAD_BYTES
    records.push({ key, value })
  }
  return { pendings: pendings.slice(0, records.length), records }
}

function encodePacked(
  pendings: readonly Pending[],
  ids: SessionIds,
  writer: PackedWriter,
  recordBytesMax: number,
): EncodedBatch {
  const records: ProducerRecord[] = []
  let bulk: BulkRecord | undefined
  let singles: PendingEvent[] = []
  const pack = (): void => {
    for (const pending of byCounter(singles)) {
      addTo(writer, pending, ids)
      pending.recordNumber = records.length
      if (writer.byteLength < recordBytesMax && writer.count < PACKED_LIMITS.eventsMax) continue
      records.push(packedRecord(writer.finish()))
    }
    if (writer.count > 0) records.push(packedRecord(writer.finish()))
    singles = []
  }
  for (const pending of pendings) {
    if (pending.record === undefined) {
      singles.push(pending)
      continue
    }
    pack()
    if (pending.record !== bulk) {
      bulk = pending.record
      records.push(packedRecord(bulk.close()))
    }
    pending.recordNumber = records.length - 1
  }
  pack()
  return { pendings, records }
}

function packedRecord(value: Buffer): ProducerRecord {
  return { key: null, value, headers: packedHeaders }
}

function addTo(writer: PackedWriter, pending: PendingEvent, ids: SessionIds): void {
  const { lane, key, dims, at, delta } = pending
  const { name } = lane.counter
  pending.index = writer.count
  if (pending.id === undefined && lane.number >= 0) {
    const sequence = lane.nextSequence
    pending.id = ids.next(lane)
    writer.addMade(ids.session, lane.number, sequence, name, key, dims, at, delta)
    return
  }
  pending.id ??= ids.next(lane)
  writer.addRaw(pending.id, name, key, dims, at, delta)
}

/**
 * The same events with those of one counter together, so that its made ids are one range. Only the
 * order within a counter means something: each has a clock of its own.
 */
function byCounter(pendings: readonly PendingEvent[]): readonly PendingEvent[] {
  const [first] = pendings
  if (pendings.every((pending) => pending.lane === first?.lane)) return pendings
  return [...Map.groupBy(pendings, (pending) => pending.lane).values()].flat()
}
