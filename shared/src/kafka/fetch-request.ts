/*
 * Fetch request, version 13 (Kafka 3.1 and later), which names the topic by its id: a topic that was
 * deleted and made again under the same name is another one, and is not read by mistake. Lists have
 * their length plus one as an unsigned varint in front, and each structure ends with tagged fields.
 *
 *   tags (of the header) | replica_id int32 -1 | max_wait_ms int32 | min_bytes int32 1 | max_bytes int32
 *   | isolation_level int8 | session_id int32 0 | session_epoch int32 -1 | topics [ topic_id 16
 *     | partitions [ partition int32 | leader_epoch int32 -1 | fetch_offset int64
 *       | last_fetched_epoch int32 -1 | log_start_offset int64 -1 | max_bytes int32 | tags ] | tags ]
 *   | forgotten [] | rack_id string | tags
 */

export const fetchApiKey = 1
export const fetchApiVersion = 13

export type FetchTarget = {
  readonly partition: number
  readonly offset: number
  /** As the metadata spell it: base64url. */
  readonly topicId: string
}

export type FetchLimits = {
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
}

const READ_COMMITTED = 1
const HEAD_BYTES = 1 + 4 * 4 + 1 + 2 * 4
const TOPIC_BYTES = 16
const PARTITION_BYTES = 3 * 4 + 2 * 8 + 4 + 1
const VARINT_BYTES_MAX = 5
const TAIL_BYTES = 3

export function encodeFetchRequest(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
  const topics = Map.groupBy(targets, ({ topicId }) => topicId)
  const perTopic = TOPIC_BYTES + VARINT_BYTES_MAX + 1
  const bytesMax =
    HEAD_BYTES + VARINT_BYTES_MAX + topics.size * perTopic + targets.length * PARTITION_BYTES
  const buffer = Buffer.alloc(bytesMax + TAIL_BYTES)
  let p = buffer.writeInt8(0, 0)
  p = buffer.writeInt32BE(-1, p)
  p = buffer.writeInt32BE(limits.maxWaitMs, p)
  p = buffer.writeInt32BE(1, p)
  p = buffer.writeInt32BE(limits.maxBytes, p)
  p = buffer.writeInt8(READ_COMMITTED, p)
  p = buffer.writeInt32BE(0, p)
  p = buffer.writeInt32BE(-1, p)
  p = writeVarint(buffer, p, topics.size + 1)
  for (const [topicId, some] of topics) {
    p += Buffer.from(topicId, 'base64url').copy(buffer, p)
    p = writeVarint(buffer, p, some.length + 1)
    for (const target of some) p = writePartition(buffer, p, target, limits)
    p = buffer.writeInt8(0, p)
  }
  // Nothing forgotten, no rack, no tags: an empty list, an empty string, nothing.
  p = buffer.writeInt8(1, p)
  p = buffer.writeInt8(1, p)
  p = buffer.writeInt8(0, p)
  return buffer.subarray(0, p)
}

function writePartition(
  buffer: Buffer,
  position: number,
  { partition, offset }: FetchTarget,
  { maxBytesPerPartition }: FetchLimits,
): number {
  let p = buffer.writeInt32BE(partition, position)
  p = buffer.writeInt32BE(-1, p)
  p = buffer.writeBigInt64BE(BigInt(offset), p)
  p = buffer.writeInt32BE(-1, p)
  p = buffer.writeBigInt64BE(-1n, p)
  p = buffer.writeInt32BE(maxBytesPerPartition, p)
  return buffer.writeInt8(0, p)
}

function writeVarint(buffer: Buffer, position: number, value: number): number {
  let p = position
  let rest = value
  for (; rest >= 0x80; rest >>>= 7) p = buffer.writeUInt8((rest & 0x7f) | 0x80, p)
  return buffer.writeUInt8(rest, p)
}
