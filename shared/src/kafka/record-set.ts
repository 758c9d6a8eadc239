import { crc32c } from '@node-rs/crc32'
import { messageOf } from '../errors.ts'
import { decompress, decompressedBatchBytesMax } from './codecs.ts'
import type { CorruptBatch, RecordBatch } from './fetched-batch.ts'
import type { AbortedTransaction } from './fetch-response.ts'
import { int64At } from './flexible-reader.ts'
import { RecordCursor } from './record-batch.ts'

/*
 * A record batch of format 2, as it is stored and fetched:
 *
 *    0 base_offset int64       21 attributes int16          43 producer_id int64
 *    8 length int32            23 last_offset_delta int32   51 producer_epoch int16
 *   12 leader_epoch int32      27 base_timestamp int64      53 base_sequence int32
 *   16 magic int8              35 max_timestamp int64       57 record_count int32
 *   17 crc32c uint32 of all from 21 on                      61 records, perhaps compressed
 */
const LENGTH = 8
const MAGIC = 16
const CRC = 17
const ATTRIBUTES = 21
const LAST_OFFSET_DELTA = 23
const BASE_TIMESTAMP = 27
const MAX_TIMESTAMP = 35
const PRODUCER_ID = 43
const RECORD_COUNT = 57
const RECORDS = 61
/** `length` counts the bytes behind itself. */
const LENGTH_END = 12
const BATCH_LENGTH_MIN = RECORDS - LENGTH_END

const CODEC_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const CONTROL_TYPE_ABORT = 0

/** What all batches of one fetch may grow to together; the rest is asked for again. */
export const decompressedFetchBytesMax = 128 * 1024 * 1024

/** Shared by the partitions of one response; see decompressedFetchBytesMax. */
export type DecompressionBudget = { bytesLeft: number }

export type DecodedRecordSet = {
  readonly batches: RecordBatch[]
  readonly nextOffset: number
  readonly corrupt?: CorruptBatch
  /** The set starts with a batch that is cut off: the fetch was too small for it. */
  readonly cutAtStart: boolean
}

/** A batch that passed its checks and is to be delivered, still compressed if it was. */
type StoredBatch = {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly count: number
  readonly attributes: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly payload: Buffer
}

type Walk = {
  stored: StoredBatch[]
  nextOffset: number
  corrupt: CorruptBatch | undefined
  cutAtStart: boolean
}

/**
 * Decodes what a fetch gave for one partition. Never throws for what is in the log: a batch with
 * a wrong checksum, of an unknown format, or that does not decompress within bounds ends the
 * result and is named in `corrupt`. A last batch that is cut off is normal and left for later.
 */
export async function decodeRecordSet(
  records: Buffer,
  fetchedOffset: number,
  aborted: readonly AbortedTransaction[],
  budget: DecompressionBudget,
): Promise<DecodedRecordSet> {
  const walk = walkBatches(records, fetchedOffset, createAbortFilter(aborted))
  const batches: RecordBatch[] = []
  for (const stored of walk.stored) {
    const codec = stored.attributes & CODEC_MASK
    if (codec === 0) {
      batches.push(toRecordBatch(stored, stored.payload))
      continue
    }
    if (budget.bytesLeft <= 0) {
      return { batches, nextOffset: Math.max(stored.baseOffset, fetchedOffset), cutAtStart: false }
    }
    try {
      const content = await decompress(codec, stored.payload, decompressedBatchBytesMax)
      budget.bytesLeft -= content.length
      batches.push(toRecordBatch(stored, content))
    } catch (error) {
      const offset = Math.max(stored.baseOffset, fetchedOffset)
      const corrupt = { offset, reason: messageOf(error), nextOffset: stored.nextOffset }
      return { batches, nextOffset: offset, corrupt, cutAtStart: false }
    }
  }
  const { nextOffset, corrupt, cutAtStart } = walk
  return corrupt === undefined
    ? { batches, nextOffset, cutAtStart }
    : { batches, nextOffset, corrupt, cutAtStart }
}

function walkBatches(records: Buffer, fetchedOffset: number, filter: AbortFilter): Walk {
  const walk: Walk = {
    stored: [],
    nextOffset: fetchedOffset,
    corrupt: undefined,
    cutAtStart: false,
  }
  let position = 0
  // A batch says its length before its format, so a cut within the first bytes is a cut, too.
  while (position + RECORDS <= records.length) {
    const length = records.readInt32BE(position + LENGTH)
    const end = position + LENGTH_END + length
    if (length >= BATCH_LENGTH_MIN && end > records.length) break
    const reason =
      length < BATCH_LENGTH_MIN ? 'impossible length' : defectOf(records, position, end)
    if (reason !== undefined) {
      const offset = Math.max(walk.nextOffset, fetchedOffset)
      const nextOffset = statedNextOffset(records, position, offset)
      walk.corrupt = { offset, reason, ...(nextOffset !== undefined && { nextOffset }) }
      return walk
    }
    takeBatch(records.subarray(position, end), walk, filter)
    position = end
  }
  walk.cutAtStart = position === 0 && records.length > 0
  return walk
}

function defectOf(records: Buffer, position: number, end: number): string | undefined {
  const magic = records.readInt8(position + MAGIC)
  if (magic !== 2) return `record format ${magic} is not supported (Kafka 0.11 and later write 2)`
  const stated = records.readUInt32BE(position + CRC)
  const found = crc32c(records.subarray(position + ATTRIBUTES, end))
  if (stated !== found) return `checksum is ${hex(found)}, the batch says ${hex(stated)}`
  return undefined
}

/**
 * What a batch that failed its checks says of its end. Believed when its fields agree: the offset is
 * within it, and it has as many records as offsets, as every batch of a topic that is not compacted.
 */
function statedNextOffset(records: Buffer, position: number, offset: number): number | undefined {
  if (records.readInt8(position + MAGIC) !== 2) return undefined
  const baseOffset = int64At(records, position)
  const count = records.readInt32BE(position + RECORD_COUNT)
  const nextOffset = baseOffset + count
  if (records.readInt32BE(position + LAST_OFFSET_DELTA) !== count - 1) return undefined
  return baseOffset <= offset && offset < nextOffset ? nextOffset : undefined
}

function takeBatch(batch: Buffer, walk: Walk, filter: AbortFilter): void {
  const baseOffset = int64At(batch, 0)
  const nextOffset = baseOffset + batch.readInt32BE(LAST_OFFSET_DELTA) + 1
  const attributes = batch.readInt16BE(ATTRIBUTES)
  const count = batch.readInt32BE(RECORD_COUNT)
  const wanted = filter.admits(batch, baseOffset, nextOffset, attributes)
  // The broker answers with whole batches, so the first one may end before what was asked for.
  if (wanted && count > 0 && nextOffset > walk.nextOffset) {
    walk.stored.push({
      baseOffset,
      nextOffset,
      count,
      attributes,
      baseTimestampMs: int64At(batch, BASE_TIMESTAMP),
      maxTimestampMs: int64At(batch, MAX_TIMESTAMP),
      payload: batch.subarray(RECORDS),
    })
  }
  walk.nextOffset = Math.max(walk.nextOffset, nextOffset)
}

function toRecordBatch(stored: StoredBatch, records: Buffer): RecordBatch {
  return {
    baseOffset: stored.baseOffset,
    nextOffset: stored.nextOffset,
    count: stored.count,
    baseTimestampMs: stored.baseTimestampMs,
    maxTimestampMs: stored.maxTimestampMs,
    logAppendTime: (stored.attributes & LOG_APPEND_TIME) !== 0,
    records,
  }
}

type AbortFilter = {
  admits(batch: Buffer, baseOffset: number, nextOffset: number, attributes: number): boolean
}

/**
 * Says which batches hold committed data, given in the order of the log. As Kafka's own client
 * does it: a producer counts as aborting from the first offset of each of its aborted transactions
 * until its abort marker, and in between all its transactional batches are dropped. kafkajs takes
 * the transactions in the broker's order, one a record, and any record whose key is four zero bytes
 * for a marker: it lets records of overlapping aborted transactions through.
 */
function createAbortFilter(aborted: readonly AbortedTransaction[]): AbortFilter {
  const pending = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<number>()
  let begun = 0
  return {
    admits(batch, baseOffset, nextOffset, attributes) {
      for (;;) {
        const transaction = pending[begun]
        if (transaction === undefined || transaction.firstOffset >= nextOffset) break
        aborting.add(transaction.producerId)
        begun++
      }
      if ((attributes & CONTROL) !== 0) {
        if (isAbortMarker(batch, baseOffset, nextOffset)) {
          aborting.delete(int64At(batch, PRODUCER_ID))
        }
        return false
      }
      if ((attributes & TRANSACTIONAL) === 0 || aborting.size === 0) return true
      return !aborting.has(int64At(batch, PRODUCER_ID))
    },
  }
}

/** A control record's key is: version int16 | type int16 (0 abort, 1 commit). */
function isAbortMarker(batch: Buffer, baseOffset: number, nextOffset: number): boolean {
  const cursor = new RecordCursor()
  const count = batch.readInt32BE(RECORD_COUNT)
  const records = batch.subarray(RECORDS)
  const control = { baseOffset, nextOffset, count, baseTimestampMs: 0, maxTimestampMs: 0 }
  cursor.open({ ...control, logAppendTime: false, records }, baseOffset)
  if (!cursor.next() || cursor.keyEnd - cursor.keyStart < 4) return false
  return records.readInt16BE(cursor.keyStart + 2) === CONTROL_TYPE_ABORT
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
