import assert from 'node:assert/strict'
import { ColdIds } from './cold-ids.ts'
import type { ColdRun, ColdRunKey } from './cold-run.ts'
import type { Columns } from '../columns.ts'
import { CounterBuckets } from './counter-buckets.ts'
import type { IdBucketReader } from './id-bucket-reader.ts'
import { FreshArrays } from './fresh-arrays.ts'
import { ID_WORDS } from './id-shape.ts'
import { IdTable, NEW } from './id-table.ts'
import { grown } from '../typed-growth.ts'

/** A number that does not depend on how hashes fall; the table has room for some more. */
export const IDS_PER_PARTITION_MAX = 2 ** 26
const FRESH_IDS_INITIAL = 64
const RESTORED_ROWS = 1024
const RESTORED = new Int32Array(RESTORED_ROWS * ID_WORDS)
const RESTORED_BYTES = new Uint8Array(RESTORED.buffer)
/** One for the process: partitions take turns. */
const FRESH_ARRAYS = new FreshArrays()

/** The ids of one counter whose first copy's `at` lies in one epoch-aligned stretch of time. */
export type IdBucket = {
  readonly counter: number
  /** All `at` in it are below; epoch milliseconds. */
  readonly end: number
  /** Its number in the table: ids that it gets have this one. */
  number: number
  /** First offset of the first commit that has ids of this bucket. */
  firstOffset: number
  /** How many of its ids the table has, those on their way out of it not included. */
  count: number
  cooling: CoolingIds | undefined
  /** How many of them are in no commit yet: they stand in `fresh`, too, which has room for more. */
  freshCount: number
  fresh: Int32Array
}

/**
 * Ids of a bucket on their way to Postgres. They are in the table as before, under a number of their
 * own, to which none is added.
 */
export type CoolingIds = ColdRunKey & {
  readonly number: number
  readonly count: number
  /** True when their bucket is forgotten: the number may soon mean another one. */
  isDead: boolean
}

/**
 * The remembered ids of one partition: 128 bits each, 96 of the identity's hash and 32 of the
 * payload's. One table has the ids of all buckets, so that a look-up of an unknown id, the common
 * case, costs one cache miss however many buckets live; a bucket expires as a whole. What is new
 * since the last commit is kept a second time, in order, to be taken into the next one. When memory
 * is short, old buckets move to Postgres: `cold` has what is kept of them here.
 */
export class IdMemory {
  readonly cold = new ColdIds()
  readonly #table = new IdTable()
  readonly #buckets = new CounterBuckets<IdBucket>()
  #size = 0
  /** The table has room for so many, until they are there or some are forgotten; 0 when not. */
  #expected = 0
  #freshBytes = 0
  #isRestoring = false

  /** How many ids the table has; those that are cold are not among them. */
  get size(): number {
    return this.#size
  }

  /** Bytes allocated for ids, also for those that wait to be committed. */
  get byteLength(): number {
    return this.#table.byteLength + this.#freshBytes
  }

  buckets(): Iterable<IdBucket> {
    return this.#buckets.all()
  }

  /** The live bucket of a counter that ends at `end`, made if it is not there yet. */
  bucket(counter: number, end: number, firstOffset: number): IdBucket {
    const known = this.#buckets.find(counter, end, firstOffset)
    if (known !== undefined) return known
    const number = this.#table.dealBucket()
    const fresh = new Int32Array(0)
    const ids = { count: 0, cooling: undefined, freshCount: 0, fresh }
    const made: IdBucket = { counter, end, number, firstOffset, ...ids }
    this.#buckets.add(made)
    return made
  }

  /**
   * Touches the indexes where `words` will be looked for, but for rows that have a lane and are not
   * looked for here: the cache misses of a batch overlap then.
   */
  warm(words: Int32Array, lanes: Int32Array, count: number): void {
    this.#table.warm(words, lanes, count)
  }

  /**
   * Looks for the id `words[at, at + 3)` with the payload digest `words[at + 3]`, in all buckets.
   * Gives NEW, SAME or OTHER_PAYLOAD and changes nothing. Where buckets are cold, only of ids that
   * `lacks` was asked about.
   */
  find(words: Int32Array, at: number): number {
    const found = this.#table.find(words, at)
    return found === NEW ? this.cold.find(words, at) : found
  }

  /** True when rows cannot be folded before the questions of `cold` are answered. */
  lacks(columns: Columns): boolean {
    if (this.cold.isEmpty) return false
    return this.cold.lacks(columns, (at) => this.#table.find(columns.ids, at) !== NEW)
  }

  /**
   * Begins to move what a bucket has out of the table. All of it must be in commits that begin
   * before `through`, and nothing that comes later may be.
   */
  beginCooling(bucket: IdBucket, through: number): CoolingIds {
    assert(bucket.freshCount === 0 && bucket.cooling === undefined)
    const { counter, end, number, count } = bucket
    bucket.number = this.#table.dealBucket()
    bucket.count = 0
    bucket.cooling = { counter, end, through, number, count, isDead: false }
    return bucket.cooling
  }

  readCooling({ number }: CoolingIds): IdBucketReader {
    return this.#table.bucketReader(number)
  }

  /**
   * The run is in Postgres: from here on its ids are looked for there. When its bucket was forgotten
   * meanwhile, it has to be deleted.
   */
  endCooling(cooling: CoolingIds, run: ColdRun): void {
    if (cooling.isDead) {
      this.cold.noteExpired(cooling)
      return
    }
    const bucket = this.#buckets.find(cooling.counter, cooling.end, Infinity)
    assert(bucket?.cooling === cooling && run.count === cooling.count)
    this.cold.add(run)
    this.#table.dropBucket(cooling.number)
    this.#size -= cooling.count
    bucket.cooling = undefined
  }

  /** Remembers an id that `find` called NEW. Asserts the partition's bound. */
  insert(bucket: IdBucket, words: Int32Array, at: number): void {
    this.#note(bucket, 1)
    this.#table.insert(bucket.number, words, at)
    if (this.#size === this.#expected) this.#endExpecting()
    const place = bucket.freshCount++ * ID_WORDS
    if (place === bucket.fresh.length) this.#growFresh(bucket)
    const { fresh } = bucket
    fresh[place] = words[at]!
    fresh[place + 1] = words[at + 1]!
    fresh[place + 2] = words[at + 2]!
    fresh[place + 3] = words[at + 3]!
  }

  /**
   * About so many ids are going to be inserted: segments for them are made at once, which otherwise
   * are made anew again and again as they come. Too many cost memory for a while, 5 bytes each at most.
   * It takes some 20 ms for a million.
   */
  expect(count: number): void {
    if (count <= this.#size) return
    this.#table.reserve(count)
    this.#expected = count
  }

  /** From here on ids are restored, until `endRestore` is through; none is found or inserted. */
  beginRestore(): void {
    this.#isRestoring = true
    this.#table.beginRestore()
  }

  /** About so many ids are going to be restored: their memory is taken at once. */
  expectRestored(count: number): void {
    this.#table.reserve(count)
  }

  /** Remembers ids, as takeFresh gave them, that commits have and that are not there. */
  restore(bucket: IdBucket, bytes: Uint8Array): void {
    assert(this.#isRestoring, 'nobody would ever make these ids to be found')
    for (let from = 0; from < bytes.length; from += RESTORED.byteLength) {
      const part = bytes.subarray(from, from + RESTORED.byteLength)
      // Copied, because a typed array of words needs its bytes aligned.
      RESTORED_BYTES.set(part)
      const count = part.length / ID_WORDS / 4
      this.#note(bucket, count)
      this.#table.restore(bucket.number, RESTORED, count)
    }
  }

  /** Makes what was restored to be found, step by step: each takes some milliseconds. */
  *endRestore(): Generator<void> {
    yield* this.#table.endRestore()
    this.#isRestoring = false
  }

  /** Forgets the buckets of a counter that end at or before `time`. */
  expire(counter: number, time: number): void {
    if (this.#expected > 0 && this.firstEnd(counter) <= time) this.#endExpecting()
    for (const bucket of this.#buckets.take(counter, time)) {
      this.#table.dropBucket(bucket.number)
      this.#size -= bucket.count
      this.#freshBytes -= bucket.fresh.byteLength
      if (bucket.cooling === undefined) continue
      bucket.cooling.isDead = true
      this.#table.dropBucket(bucket.cooling.number)
      this.#size -= bucket.cooling.count
    }
    this.cold.expire(counter, time)
  }

  /** The end of the counter's bucket that expires first; Infinity when it has none. */
  firstEnd(counter: number): number {
    return this.#buckets.firstEnd(counter)
  }

  /**
   * Copies the ids of a bucket that no commit has, in the order of insertion, into `out` at byte
   * `at`; from here on a commit has them. Gives the end.
   */
  takeFresh(bucket: IdBucket, out: Uint8Array, at: number): number {
    const bytes = new Uint8Array(bucket.fresh.buffer, 0, bucket.freshCount * ID_WORDS * 4)
    out.set(bytes, at)
    this.#freshBytes -= bucket.fresh.byteLength
    FRESH_ARRAYS.give(bucket.fresh)
    bucket.fresh = new Int32Array(0)
    bucket.freshCount = 0
    return at + bytes.length
  }

  /**
   * Every id in the table, in no order; `words` is used again. Its third word lacks the last 14 bits,
   * which are not always kept.
   */
  forEach(visit: (bucket: IdBucket, words: Int32Array) => void): void {
    const buckets = new Map([...this.buckets()].map((bucket) => [bucket.number, bucket]))
    for (const bucket of this.buckets()) {
      if (bucket.cooling !== undefined) buckets.set(bucket.cooling.number, bucket)
    }
    this.#table.forEach((number, words) => visit(buckets.get(number)!, words))
  }

  /** Counts ids that a bucket gets now. */
  #note(bucket: IdBucket, count: number): void {
    if (this.#size + count > IDS_PER_PARTITION_MAX) {
      throw new RangeError(`more than ${IDS_PER_PARTITION_MAX} ids in one partition's lateness`)
    }
    bucket.count += count
    this.#size += count
  }

  #endExpecting(): void {
    this.#table.endReserve()
    this.#expected = 0
  }

  #growFresh(bucket: IdBucket): void {
    const { fresh } = bucket
    const words = Math.max(FRESH_IDS_INITIAL * ID_WORDS, 2 * fresh.length)
    bucket.fresh = grown(fresh, FRESH_ARRAYS.take(words))
    FRESH_ARRAYS.give(fresh)
    this.#freshBytes += bucket.fresh.byteLength - fresh.byteLength
  }
}
