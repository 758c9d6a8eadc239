/*
 * Fetch response, version 11 (Kafka 2.3 and later; numbers big-endian):
 *
 *   throttle_time_ms int32 | error_code int16 | session_id int32 | topics [ name string | partitions [
 *     partition int32 | error_code int16 | high_watermark int64 | last_stable_offset int64
 *     | log_start_offset int64 | aborted [ producer_id int64 | first_offset int64 ] (or null)
 *     | preferred_read_replica int32 | records bytes (or null) ] ]
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
}

export const fetchApiVersion = 11

/** Throws RangeError when the response is shorter than it says: a broken broker, not bad data. */
export function decodeFetchResponse(payload: Buffer): FetchResponse {
  const reader = { payload, position: 0 }
  const throttleMs = readInt32(reader)
  const errorCode = readInt16(reader)
  readInt32(reader)
  const partitions: FetchedPartition[] = []
  const topicCount = readInt32(reader)
  for (let topic = 0; topic < topicCount; topic++) {
    reader.position += 2 + payload.readInt16BE(reader.position)
    const partitionCount = readInt32(reader)
    for (let i = 0; i < partitionCount; i++) partitions.push(readPartition(reader))
  }
  return { throttleMs, errorCode, partitions }
}

type Reader = { readonly payload: Buffer; position: number }

function readPartition(reader: Reader): FetchedPartition {
  const partition = readInt32(reader)
  const errorCode = readInt16(reader)
  const highWatermark = readInt64(reader)
  const lastStableOffset = readInt64(reader)
  const logStartOffset = readInt64(reader)
  const aborted: AbortedTransaction[] = []
  const abortedCount = readInt32(reader)
  for (let i = 0; i < abortedCount; i++) {
    aborted.push({ producerId: readInt64(reader), firstOffset: readInt64(reader) })
  }
  readInt32(reader)
  const size = Math.max(readInt32(reader), 0)
  const start = reader.position
  reader.position += size
  const records = reader.payload.subarray(start, start + size)
  return {
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    records,
  }
}

function readInt16(reader: Reader): number {
  const value = reader.payload.readInt16BE(reader.position)
  reader.position += 2
  return value
}

function readInt32(reader: Reader): number {
  const value = reader.payload.readInt32BE(reader.position)
  reader.position += 4
  return value
}

function readInt64(reader: Reader): number {
  const value = int64At(reader.payload, reader.position)
  reader.position += 8
  return value
}

/** Exact below 2^53: no offset, time or producer id comes near it. */
export function int64At(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * 0x1_0000_0000 + buffer.readUInt32BE(position + 4)
}
