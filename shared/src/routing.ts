/** The record key of every copy of an event: retries meet their first copy whatever sent them. */
export function recordKey(counter: string, key: string): Buffer {
  return Buffer.from(`${counter}/${key}`)
}

/** The hash of `bytes[start, end)` by which all Kafka clients choose a partition; not negative. */
export function partitionHash(bytes: Uint8Array, start = 0, end = bytes.length): number {
  return murmur2(bytes, start, end) & 0x7fffffff
}

/** The same of a record key. */
export function recordHash(counter: string, key: string): number {
  return partitionHash(recordKey(counter, key))
}

/** The partition Java's default partitioner chooses by a record key's hash: all clients agree. */
export function homePartition(hash: number, partitions: number): number {
  return hash % partitions
}

const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** Kafka's murmur2 over `bytes[start, end)`; a signed 32-bit number. Source: Kafka's Utils.murmur2. */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  let h = SEED ^ length
  let i = start
  for (const last = end - (length & 3); i < last; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    k = Math.imul(k, M)
    k ^= k >>> R
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const left = end - i
  if (left >= 3) h ^= bytes[i + 2]! << 16
  if (left >= 2) h ^= bytes[i + 1]! << 8
  if (left >= 1) h = Math.imul(h ^ bytes[i]!, M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}
