import { createFlexibleReader, type FlexibleReader } from './flexible-reader.ts'

/*
 * Fetch response, version 13 (Kafka 3.1 and later; see flexible-reader.ts for its ways):
 *
 *   tags | throttle_time_ms int32 | error_code int16 | session_id int32 | topics [ topic_id 16
 *   | partitions [ partition int32 | error_code int16 | high_watermark int64
 *     | last_stable_offset int64 | log_start_offset int64
 *     | aborted [ producer_id int64 | first_offset int64 | tags ] | preferred_read_replica int32
 *     | records bytes | tags ] | tags ] | tags
 *
 * kafkajs' own decoder makes an object, several Longs and promises of each record. This one reads
 * the few numbers of a partition and leaves its records where they are in the response.
 */

export type AbortedTransaction = { readonly producerId: number; readonly firstOffset: number }

export type FetchedPartition = {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** A view into the response, not a copy. */
  readonly records: Buffer
}

export type FetchResponse = {
  readonly throttleMs: number
  readonly errorCode: number
  readonly partitions: readonly FetchedPartition[]
  /** All of it: when nothing of it is read any more, the connection can use its memory again. */
  readonly payload: Buffer
}

const TOPIC_ID_BYTES = 16

/** Throws RangeError when the response is shorter than it says: a broken broker, not bad data. */
export function decodeFetchResponse(payload: Buffer): FetchResponse {
  const reader = createFlexibleReader(payload)
  reader.tags()
  const throttleMs = reader.int32()
  const errorCode = reader.int16()
  reader.int32()
  const topics = reader.list(() => {
    reader.bytes(TOPIC_ID_BYTES)
    const partitions = reader.list(() => readPartition(reader))
    reader.tags()
    return partitions
  })
  return { throttleMs, errorCode, partitions: topics.flat(), payload }
}

function readPartition(reader: FlexibleReader): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = reader.int64()
  const lastStableOffset = reader.int64()
  const logStartOffset = reader.int64()
  const aborted = reader.list(() => {
    const transaction = { producerId: reader.int64(), firstOffset: reader.int64() }
    reader.tags()
    return transaction
  })
  reader.int32()
  const records = reader.compactBytes()
  reader.tags()
  const offsets = { highWatermark, lastStableOffset, logStartOffset }
  return { partition, errorCode, ...offsets, aborted, records }
}
