import { ByteReader } from '@countersink/shared/packed/byte-reader'
import { ByteWriter } from '@countersink/shared/packed/byte-writer'
import { SDK_ID } from '@countersink/shared/sdk-id'
import type { IntervalBucket, IntervalMemory } from '../core/interval-memory.ts'
import type { LaneTable } from '../core/lane-table.ts'
import type { RememberedIds } from '../core/remembered-ids.ts'

/*
 * The body of a group of intervals: what one commit remembers of the SDK-made ids of one counter.
 * Numbers are varints.
 *
 *     body     := buckets n, n × end (epoch ms) | lane*
 *     lane     := session (25 bytes) | lane of the session | intervals n, n × interval
 *     interval := zigzag of (first − last of the lane's interval before, at first 0) | (length − 1) × buckets + bucket
 *
 * Intervals stand in the order of arrival: a lane's sequences come in theirs, so the difference is
 * mostly 1. An interval takes from two bytes, a lane about 33.
 */

/** The intervals remembered since the last call: a body per counter, marked as saved. */
export function takeNewIntervals(ids: RememberedIds): { counter: number; body: Buffer }[] {
  const { intervals, lanes } = ids
  const setsOf = new Map<number, number[]>()
  for (const set of intervals.freshSets) {
    const counter = intervals.counterOf(set)
    const sets = setsOf.get(counter)
    if (sets === undefined) setsOf.set(counter, [set])
    else sets.push(set)
  }
  const groups = []
  for (const [counter, sets] of setsOf) {
    const body = writeBody(intervals, lanes, sets)
    if (body !== undefined) groups.push({ counter, body })
  }
  intervals.markSaved()
  lanes.forgetIdle()
  return groups
}

function writeBody(intervals: IntervalMemory, lanes: LaneTable, sets: readonly number[]) {
  const places = new Map<IntervalBucket, number>()
  const counts = sets.map((set) => {
    let count = 0
    intervals.forEachFresh(set, (bucket) => {
      if (!places.has(bucket)) places.set(bucket, places.size)
      count++
    })
    return count
  })
  if (places.size === 0) return undefined
  const out = new ByteWriter()
  out.varint(places.size)
  for (const { end } of places.keys()) out.varint(end)
  for (const [i, set] of sets.entries()) {
    // All of it expired before it was ever stored.
    if (counts[i] === 0) continue
    out.reserve(SDK_ID.sessionChars)
    const lane = lanes.copyName(intervals.laneOf(set), out.bytes, out.length)
    out.length += SDK_ID.sessionChars
    out.varint(lane)
    out.varint(counts[i]!)
    let last = 0
    intervals.forEachFresh(set, (bucket, first, length) => {
      out.zigzag(first - last)
      out.varint((length - 1) * places.size + places.get(bucket)!)
      last = first + length - 1
    })
  }
  const body = Buffer.allocUnsafe(out.length)
  out.copyTo(body, 0)
  return body
}

/** Where the intervals of a group are brought back to. */
export type IntervalTarget = {
  ids: RememberedIds
  /** Ordinal of the counter. */
  counter: number
  /** Of the commit. */
  firstOffset: number
  /** Buckets that end at or before are forgotten by now. */
  lateBefore: number
}

/** Brings back what a body holds. It is the project's own bytes: what is wrong in them throws. */
export function restoreIntervals(body: Buffer, target: IntervalTarget): void {
  const { ids, counter, firstOffset, lateBefore } = target
  const reader = new ByteReader(body, 0)
  const ends = Array.from({ length: reader.varint() }, () => reader.varint())
  const buckets = ends.map((end) =>
    end > lateBefore ? ids.intervals.bucket(counter, end, firstOffset) : undefined,
  )
  if (buckets.every((bucket) => bucket === undefined)) return
  while (!reader.isAtEnd) {
    const session = reader.bytes(SDK_ID.sessionChars)
    const lane = ids.lanes.intern(session, 0, reader.varint())
    let last = 0
    for (let left = reader.varint(); left > 0; left--) {
      const first = last + reader.zigzag()
      const code = reader.varint()
      const length = Math.floor(code / buckets.length) + 1
      const bucket = buckets[code % buckets.length]
      if (bucket !== undefined) ids.intervals.restore(bucket, lane, first, length)
      last = first + length - 1
    }
    if (reader.failed) throw new RangeError('intervals of ids in a commit are damaged')
  }
}
