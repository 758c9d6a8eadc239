import type { IdBucket, IdMemory } from '../core/ids/id-memory.ts'
import { ID_WORDS } from '../core/ids/id-shape.ts'
import type { RememberedIds } from '../core/ids/remembered-ids.ts'
import { takeNewIntervals } from './interval-groups.ts'

/*
 * The ids of one commit, little-endian; hashed ones as they lie in memory:
 *
 *     ids       := (mark | group)*
 *     mark      := −2^31 int32          SDK-made ids after it are intervals, none is hashed
 *     group     := hashed | intervals
 *     hashed    := counter int32 | bucket end int64 (epoch ms) | count uint32 | count × (96 bits identity, 32 bits payload)
 *     intervals := −1 − counter int32 | length uint32 | body (interval-groups.ts)
 *
 * Commits of before there were intervals have no mark: the ids of SDKs are hashed in them too. A
 * process of that time cannot read a mark, and says so, instead of forgetting what it cannot read.
 */
const HASHED_HEADER_BYTES = 16
const INTERVALS_HEADER_BYTES = 8
const MARK_BYTES = 4
const MARK = -(2 ** 31)
const ID_BYTES = ID_WORDS * 4

/**
 * The ids remembered since the last call as one buffer, and marks them as saved. `counterIdOf`
 * gives the counter's number in the tables.
 */
export function takeNewIds(ids: RememberedIds, counterIdOf: (ordinal: number) => number): Buffer {
  const hashed = takeHashed(ids.hashed, counterIdOf)
  const parts = [hashed]
  for (const { counter, body } of takeNewIntervals(ids)) {
    const header = Buffer.allocUnsafe(INTERVALS_HEADER_BYTES)
    header.writeInt32LE(-1 - counterIdOf(counter), 0)
    header.writeUInt32LE(body.length, 4)
    parts.push(header, body)
  }
  if (parts.length > 1) return Buffer.concat(parts)
  // Not joined where there is one: hashed ids are 16 bytes an event.
  return hashed.length > MARK_BYTES ? hashed : Buffer.alloc(0)
}

/** The mark, and the groups of hashed ids behind it. */
function takeHashed(ids: IdMemory, counterIdOf: (ordinal: number) => number): Buffer {
  const fresh: IdBucket[] = []
  let length = MARK_BYTES
  for (const bucket of ids.buckets()) {
    if (bucket.freshCount === 0) continue
    fresh.push(bucket)
    length += HASHED_HEADER_BYTES + bucket.freshCount * ID_BYTES
  }
  const bytes = Buffer.allocUnsafe(length)
  let at = bytes.writeInt32LE(MARK, 0)
  for (const bucket of fresh) {
    bytes.writeInt32LE(counterIdOf(bucket.counter), at)
    bytes.writeBigInt64LE(BigInt(bucket.end), at + 4)
    bytes.writeUInt32LE(bucket.freshCount, at + 12)
    at = ids.takeFresh(bucket, bytes, at + HASHED_HEADER_BYTES)
  }
  return bytes
}

export type HashedGroup = {
  kind: 'hashed'
  counter: number
  end: number
  /** Four words an id. */
  ids: Buffer
  /** True when ids that an SDK made may be among them. */
  mayBeMade: boolean
}
export type IntervalGroup = { kind: 'intervals'; counter: number; body: Buffer }

export function* readIdGroups(bytes: Buffer): Generator<HashedGroup | IntervalGroup> {
  let mayBeMade = true
  for (let at = 0; at < bytes.length;) {
    const tag = bytes.readInt32LE(at)
    if (tag === MARK) {
      mayBeMade = false
      at += MARK_BYTES
    } else if (tag < 0) {
      const start = at + INTERVALS_HEADER_BYTES
      at = start + bytes.readUInt32LE(at + 4)
      yield { kind: 'intervals', counter: -1 - tag, body: bytes.subarray(start, at) }
    } else {
      const end = Number(bytes.readBigInt64LE(at + 4))
      const start = at + HASHED_HEADER_BYTES
      at = start + bytes.readUInt32LE(at + 12) * ID_BYTES
      yield { kind: 'hashed', counter: tag, end, ids: bytes.subarray(start, at), mayBeMade }
    }
  }
}
