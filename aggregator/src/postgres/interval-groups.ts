import { ByteReader } from '@countersink/shared/packed/byte-reader'
import { ByteWriter } from '@countersink/shared/packed/byte-writer'
import { SDK_ID } from '@countersink/shared/sdk-id'
import type { IntervalBucket, IntervalMemory } from '../core/intervals/interval-memory.ts'
import type { LaneTable } from '../core/intervals/lane-table.ts'
import type { RememberedIds } from '../core/ids/remembered-ids.ts'

/*
 * The body of a group of intervals: what one commit remembers of the SDK-made ids of one counter.
 * Numbers are varints.
 *
 *     body     := buckets n, n × end (epoch ms) | lane*
 *     lane     := (index × buckets + bucket) × 2 + named | name, when named is 1 | intervals n, n × interval
 *     name     := session (25 bytes) | lane of the session
 *     interval := zigzag of (first − last of the lane's interval before, at first 0) | (length − 1) × buckets + bucket
 *
 * A lane has its name in one commit and its index in further ones, which saves 25 bytes of each. The
 * index holds in one bucket, which ends no earlier than any that the lane's intervals lie in: while
 * one of those is remembered, so are the commits from its first one on, and the name with them.
 * Intervals stand in the order of arrival: a lane's sequences come in theirs, so the difference is
 * mostly 1. An interval takes from two bytes, a lane about five.
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

/** What is fresh of one set: how many intervals, and whether commits know its lane by now. */
type FreshLane = { set: number; count: number; named: boolean }

function writeBody(intervals: IntervalMemory, lanes: LaneTable, sets: readonly number[]) {
  // Buckets of one counter, by their ends.
  const places = new Map<number, number>()
  const fresh: FreshLane[] = []
  for (const set of sets) {
    const lane = nameLane(intervals, set, places)
    if (lane !== undefined) fresh.push(lane)
  }
  if (fresh.length === 0) return undefined
  const out = new ByteWriter()
  out.varint(places.size)
  for (const end of places.keys()) out.varint(end)
  for (const { set, count, named } of fresh) {
    const place = places.get(intervals.namedUntil(set))!
    out.varint((intervals.nameIndex(set) * places.size + place) * 2 + (named ? 1 : 0))
    if (named) writeName(intervals, lanes, set, out)
    out.varint(count)
    let last = 0
    intervals.forEachFresh(set, ({ end }, first, length) => {
      out.zigzag(first - last)
      out.varint((length - 1) * places.size + places.get(end)!)
      last = first + length - 1
    })
  }
  return out.bytes.subarray(0, out.length)
}

/** Gives the set's lane a name, unless it has one for as long; undefined when nothing of it is fresh. */
function nameLane(
  intervals: IntervalMemory,
  set: number,
  places: Map<number, number>,
): FreshLane | undefined {
  let count = 0
  let latest: IntervalBucket | undefined
  intervals.forEachFresh(set, (bucket) => {
    if (!places.has(bucket.end)) places.set(bucket.end, places.size)
    if (latest === undefined || bucket.end > latest.end) latest = bucket
    count++
  })
  // All of it may have expired before it was ever stored.
  if (latest === undefined) return undefined
  const named = intervals.namedUntil(set) < latest.end
  if (named) intervals.nameIn(latest, set)
  const until = intervals.namedUntil(set)
  if (!places.has(until)) places.set(until, places.size)
  return { set, count, named }
}

function writeName(intervals: IntervalMemory, lanes: LaneTable, set: number, out: ByteWriter) {
  out.reserve(SDK_ID.sessionChars)
  const lane = lanes.copyName(intervals.laneOf(set), out.bytes, out.length)
  out.length += SDK_ID.sessionChars
  out.varint(lane)
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
  /** Names alone, of groups that are not in the order of their commits: all names come first then. */
  namesOnly: boolean
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
    const lane = restoreLane(reader, buckets, ids)
    let last = 0
    for (let left = reader.varint(); left > 0; left--) {
      const first = last + reader.zigzag()
      const code = reader.varint()
      const length = Math.floor(code / buckets.length) + 1
      const bucket = buckets[code % buckets.length]
      if (bucket !== undefined && !target.namesOnly) {
        if (lane === undefined) throw new RangeError('a lane of ids has no name in its bucket')
        ids.intervals.restore(bucket, lane, first, length)
      }
      last = first + length - 1
    }
    if (reader.failed) throw new RangeError('intervals of ids in a commit are damaged')
  }
}

/** The number of the next lane of a body; undefined when the bucket that it is known in is gone. */
function restoreLane(
  reader: ByteReader,
  buckets: readonly (IntervalBucket | undefined)[],
  ids: RememberedIds,
): number | undefined {
  const head = reader.varint()
  const code = Math.floor(head / 2)
  const index = Math.floor(code / buckets.length)
  const bucket = buckets[code % buckets.length]
  if (head % 2 === 0) return bucket?.lanes[index]
  const session = reader.bytes(SDK_ID.sessionChars)
  const number = reader.varint()
  if (bucket === undefined || reader.failed) return undefined
  bucket.lanes[index] = ids.lanes.intern(session, 0, number)
  return bucket.lanes[index]
}
