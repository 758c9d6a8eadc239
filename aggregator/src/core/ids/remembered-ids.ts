import { type IdBucket, IdMemory } from './id-memory.ts'
import { type IntervalBucket, IntervalMemory } from '../intervals/interval-memory.ts'
import type { HashKey } from '../keyed-hash.ts'
import { LaneTable } from '../intervals/lane-table.ts'

/**
 * Which events of a partition were counted within the lateness: ids of any form by their hashes,
 * those that an SDK made as intervals of (lane, sequence). What both have in common is when they
 * forget: in epoch-aligned buckets, by the clock alone.
 */
export class RememberedIds {
  readonly hashed = new IdMemory()
  readonly lanes: LaneTable
  readonly intervals: IntervalMemory
  /** By counter the bucket that its last id went to: the next one mostly goes there too. */
  readonly #hashedBuckets: (IdBucket | undefined)[] = []
  readonly #intervalBuckets: (IntervalBucket | undefined)[] = []
  /** By counter the end of the last bucket of hashed ids that SDKs made. */
  readonly #madeUntil: (number | undefined)[] = []

  constructor(hashKey: HashKey) {
    this.lanes = new LaneTable(hashKey)
    this.intervals = new IntervalMemory(this.lanes)
  }

  /** Ids that SDKs made, and that were hashed, are in a counter's buckets up to this one. */
  noteHashedMade(counter: number, end: number): void {
    this.#madeUntil[counter] = Math.max(this.#madeUntil[counter] ?? end, end)
  }

  /**
   * True when an id that an SDK made may be among the counter's hashed ones, because it was counted
   * before there were intervals. That is over one lateness after.
   */
  mayBeHashed(counter: number): boolean {
    return this.#madeUntil[counter] !== undefined
  }

  /** The bucket of a counter's hashed ids for the time `at`, made if it is not there yet. */
  hashedBucket(counter: number, at: number, bucketMs: number, firstOffset: number): IdBucket {
    const last = this.#hashedBuckets[counter]
    if (last !== undefined && isWithin(at, last.end, bucketMs)) return last
    const bucket = this.hashed.bucket(counter, endOf(at, bucketMs), firstOffset)
    this.#hashedBuckets[counter] = bucket
    return bucket
  }

  /** The bucket of a counter's intervals for the time `at`, made if it is not there yet. */
  intervalBucket(counter: number, at: number, bucketMs: number, firstOffset: number) {
    const last = this.#intervalBuckets[counter]
    if (last !== undefined && isWithin(at, last.end, bucketMs)) return last
    const bucket = this.intervals.bucket(counter, endOf(at, bucketMs), firstOffset)
    this.#intervalBuckets[counter] = bucket
    return bucket
  }

  /** Forgets the buckets of a counter that end at or before `time`. */
  expire(counter: number, time: number): void {
    this.hashed.expire(counter, time)
    this.intervals.expire(counter, time)
    this.#hashedBuckets[counter] = undefined
    this.#intervalBuckets[counter] = undefined
    const madeUntil = this.#madeUntil[counter]
    if (madeUntil !== undefined && madeUntil <= time) this.#madeUntil[counter] = undefined
  }

  /** The end of the counter's bucket that expires first; Infinity when it has none. */
  firstEnd(counter: number): number {
    return Math.min(this.hashed.firstEnd(counter), this.intervals.firstEnd(counter))
  }

  /** The commits before hold nothing that is still remembered; `next` when none does. */
  floor(next: number): number {
    let floor = next
    for (const bucket of this.hashed.buckets()) floor = Math.min(floor, bucket.firstOffset)
    for (const bucket of this.intervals.buckets()) floor = Math.min(floor, bucket.firstOffset)
    return floor
  }
}

function endOf(at: number, bucketMs: number): number {
  return (Math.floor(at / bucketMs) + 1) * bucketMs
}

function isWithin(at: number, end: number, bucketMs: number): boolean {
  return at < end && at >= end - bucketMs
}
