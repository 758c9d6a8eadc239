import type { FetchedBatch, RecordBatch } from '@countersink/shared/kafka/fetched-batch'
import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'

/** One record of a made-up log, and when its broker appended it. */
export type LogRecord = { value: Buffer | null; appendTimeMs: number }

const HEADER_BYTES = 61

/** Records as the broker would store them: one batch from `baseOffset` on, with log-append time. */
export async function storedBatch(
  records: readonly LogRecord[],
  baseOffset: number,
): Promise<RecordBatch> {
  const encoded = await encodeRecordBatch(
    records.map(({ value }) => ({ key: null, value })),
    'none',
    noStamp,
    0,
  )
  return {
    baseOffset,
    nextOffset: baseOffset + records.length,
    count: records.length,
    baseTimestampMs: 0,
    maxTimestampMs: Math.max(...records.map(({ appendTimeMs }) => appendTimeMs)),
    logAppendTime: true,
    records: encoded.subarray(HEADER_BYTES),
  }
}

/** What one fetch at `fetchedOffset` brings of those batches. */
export function fetchedFrom(
  partition: number,
  fetchedOffset: number,
  batches: readonly RecordBatch[],
): FetchedBatch {
  const nextOffset = batches.at(-1)?.nextOffset ?? fetchedOffset
  const ends = { logStartOffset: 0, highWatermark: nextOffset, lastStableOffset: nextOffset }
  return {
    partition,
    fetchedOffset,
    nextOffset,
    batches,
    isStale: () => false,
    release: () => undefined,
    ...ends,
  }
}
