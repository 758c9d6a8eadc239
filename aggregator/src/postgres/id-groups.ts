import { type IdBucket, ID_WORDS, type IdMemory } from '../core/id-memory.ts'

/*
 * The ids of one commit, little-endian, as they lie in memory:
 *
 *     ids   := group*
 *     group := counter int32 | bucket end int64 (epoch ms) | count uint32 | count × (96 bits identity, 32 bits payload)
 */
export const ID_GROUP_HEADER_BYTES = 16
const ID_BYTES = ID_WORDS * 4

/**
 * The ids remembered since the last call as one buffer, and marks them as saved. `counterIdOf`
 * gives the counter's number in the tables.
 */
export function takeNewIds(ids: IdMemory, counterIdOf: (ordinal: number) => number): Buffer {
  const fresh: IdBucket[] = []
  let length = 0
  for (const bucket of ids.buckets()) {
    if (bucket.count === bucket.saved) continue
    fresh.push(bucket)
    length += ID_GROUP_HEADER_BYTES + (bucket.count - bucket.saved) * ID_BYTES
  }
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const bucket of fresh) {
    bytes.writeInt32LE(counterIdOf(bucket.counter), at)
    bytes.writeBigInt64LE(BigInt(bucket.end), at + 4)
    bytes.writeUInt32LE(bucket.count - bucket.saved, at + 12)
    at = ids.copyIds(bucket, bucket.saved, bytes, at + ID_GROUP_HEADER_BYTES)
    bucket.saved = bucket.count
  }
  return bytes
}

export type IdGroupHeader = { counter: number; end: number; count: number }

export function readIdGroupHeader(bytes: Buffer, at: number): IdGroupHeader {
  return {
    counter: bytes.readInt32LE(at),
    end: Number(bytes.readBigInt64LE(at + 4)),
    count: bytes.readUInt32LE(at + 12),
  }
}
