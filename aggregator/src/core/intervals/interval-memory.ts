import { BucketNumbers } from '../ids/bucket-numbers.ts'
import { CounterBuckets } from '../ids/counter-buckets.ts'
import { FreshIntervals } from './fresh-intervals.ts'
import { IntervalSets } from './interval-sets.ts'
import type { LaneTable } from './lane-table.ts'
import { grown } from '../typed-growth.ts'

const INITIAL = 64
const NONE = -1
/** Of what is dead, an insert sweeps sets until they held so many intervals. */
const SWEPT_PER_INSERT = 16

/** The sequences of one counter whose first copy's `at` lies in one epoch-aligned stretch of time. */
export type IntervalBucket = {
  /** Its number among those of the partition; dealt again when it has expired. */
  readonly number: number
  readonly counter: number
  /** All `at` in it are below; epoch milliseconds. */
  readonly end: number
  /** First offset of the first commit that has intervals of this bucket. */
  firstOffset: number
  /** Lanes by the indices that commits know them by, as long as the bucket lives. */
  readonly lanes: number[]
}

/**
 * The remembered SDK-made ids of one partition. Per counter and lane there is one set of the
 * intervals of sequences that were counted, whatever bucket they lie in, since an id has one first
 * copy; each interval knows its bucket and is dead when that has expired. So a look-up is one search,
 * and live traffic, where a lane's sequences come in their order, costs nothing an event. What is dead
 * is swept out by the inserts that follow, a few sets at a time.
 *
 * The payload is not remembered: a further copy is a duplicate even if it says something else. An
 * SDK never gives one sequence to two events.
 */
export class IntervalMemory {
  readonly #lanes: LaneTable
  readonly #sets = new IntervalSets()
  readonly #fresh = new FreshIntervals()
  /** Per set its counter, its lane (NONE for a set that is free) and the next one of its lane. */
  #counter = new Int32Array(INITIAL)
  #lane = new Int32Array(INITIAL)
  #nextOfLane = new Int32Array(INITIAL)
  /** Per set the bucket, by its end, in which commits know its lane, and the index there. */
  #namedUntil = new Float64Array(INITIAL)
  #nameIndex = new Int32Array(INITIAL)
  #firstOfLane = new Int32Array(INITIAL).fill(NONE)
  readonly #freeSets: number[] = []
  #setsDealt = 0
  readonly #buckets: (IntervalBucket | undefined)[] = []
  readonly #numbers = new BucketNumbers()
  /**
   * The run that the last insert went to, `[runFirst, runNext)`, with which its set ends; from
   * `runAdded` on the set does not have it yet. Neighbours in the log mostly follow one another, and
   * go into the set together. runSet is NONE when there is no run.
   */
  #runSet = NONE
  #runLane = NONE
  #runCounter = NONE
  #runBucket = NONE
  #runFirst = 0
  #runAdded = 0
  #runNext = 0
  /** The next set that the sweep under way looks at; how many intervals it is ahead of its inserts. */
  #nextSwept = 0
  #sweptAhead = 0
  readonly #live = new CounterBuckets<IntervalBucket>()

  constructor(lanes: LaneTable) {
    this.#lanes = lanes
  }

  /** How many intervals are remembered. */
  get size(): number {
    this.#closeRun()
    return this.#sets.size
  }

  /** How many ids they stand for. */
  get sequences(): number {
    this.#closeRun()
    return this.#sets.sequences
  }

  get byteLength(): number {
    const perSet = 6 * this.#counter.byteLength
    return this.#sets.byteLength + this.#fresh.byteLength + perSet + this.#firstOfLane.byteLength
  }

  buckets(): Iterable<IntervalBucket> {
    return this.#live.all()
  }

  /** The live bucket of a counter that ends at `end`, made if it is not there yet. */
  bucket(counter: number, end: number, firstOffset: number): IntervalBucket {
    const known = this.#live.find(counter, end, firstOffset)
    if (known !== undefined) return known
    const number = this.#numbers.deal()
    const made = { number, counter, end, firstOffset, lanes: [] }
    this.#buckets[number] = made
    this.#live.add(made)
    return made
  }

  /** True when the sequence was counted, in any live bucket of the counter. */
  has(counter: number, lane: number, sequence: number): boolean {
    if (lane === this.#runLane && counter === this.#runCounter && sequence >= this.#runFirst) {
      return sequence < this.#runNext
    }
    const set = this.#find(counter, lane)
    if (set === NONE) return false
    const bucket = this.#sets.bucketOf(set, sequence)
    return bucket >= 0 && this.#numbers.dead[bucket] === 0
  }

  /** Remembers a sequence that `has` does not know. Asserts the partition's bound. */
  insert(bucket: IntervalBucket, lane: number, sequence: number): void {
    if (sequence === this.#runNext && lane === this.#runLane && bucket.number === this.#runBucket) {
      this.#runNext = sequence + 1
      return
    }
    this.#closeRun()
    if (this.#numbers.areDead) this.#sweepBefore(bucket.counter, lane, sequence)
    const set = this.#open(bucket.counter, lane)
    // While there is a sweep, each insert takes a step of it.
    const mayRun = !this.#numbers.areDead && this.#sets.isBehindAll(set, sequence)
    this.#sets.add(set, bucket.number, sequence, 1)
    this.#fresh.add(set, bucket.number, sequence, 1)
    if (!mayRun) return
    this.#runSet = set
    this.#runLane = lane
    this.#runCounter = bucket.counter
    this.#runBucket = bucket.number
    this.#runFirst = sequence
    this.#runAdded = this.#runNext = sequence + 1
  }

  /**
   * Adds the rest of the run to its set; called before any set is looked at or changed. It makes the
   * set's last interval longer, so no bound is reached here.
   */
  #closeRun(): void {
    if (this.#runSet === NONE) return
    const [added, length] = [this.#runAdded, this.#runNext - this.#runAdded]
    if (length > 0) {
      this.#sets.add(this.#runSet, this.#runBucket, added, length)
      this.#fresh.add(this.#runSet, this.#runBucket, added, length)
    }
    this.#runSet = NONE
    this.#runLane = NONE
  }

  /** Brings back `[first, first + length)`, which is in a commit already. */
  restore(bucket: IntervalBucket, lane: number, first: number, length: number): void {
    this.#closeRun()
    // A dead interval might be in its way anywhere; nobody is live while much is brought back.
    while (this.#numbers.areDead) this.#sweepNext()
    this.#sets.add(this.#open(bucket.counter, lane), bucket.number, first, length)
  }

  /** Forgets the buckets of a counter that end at or before `time`. */
  expire(counter: number, time: number): void {
    const expired = this.#live.take(counter, time)
    if (expired.length === 0) return
    this.#closeRun()
    for (const { number } of expired) {
      this.#numbers.drop(number)
      this.#sets.forget(number)
      this.#buckets[number] = undefined
    }
    this.#fresh.drop(this.#numbers.dead)
  }

  /** The end of the counter's bucket that expires first; Infinity when it has none. */
  firstEnd(counter: number): number {
    return this.#live.firstEnd(counter)
  }

  /** The sets with intervals that no commit has yet. */
  get freshSets(): readonly number[] {
    return this.#fresh.sets
  }

  counterOf(set: number): number {
    return this.#counter[set]!
  }

  laneOf(set: number): number {
    return this.#lane[set]!
  }

  /** The end of the bucket in which commits know the set's lane; -1 for none. */
  namedUntil(set: number): number {
    return this.#namedUntil[set]!
  }

  nameIndex(set: number): number {
    return this.#nameIndex[set]!
  }

  /** The set's lane gets a name of commits in this bucket: the index among the bucket's lanes. */
  nameIn(bucket: IntervalBucket, set: number): void {
    this.#namedUntil[set] = bucket.end
    this.#nameIndex[set] = bucket.lanes.push(this.#lane[set]!) - 1
  }

  /** Calls back with each interval of a set that no commit has yet, in the order of arrival. */
  forEachFresh(
    set: number,
    visit: (bucket: IntervalBucket, first: number, length: number) => void,
  ): void {
    this.#closeRun()
    this.#fresh.forEach(set, (bucket, first, length) => {
      visit(this.#buckets[bucket]!, first, length)
    })
  }

  /** All there is, is in commits. */
  markSaved(): void {
    this.#closeRun()
    this.#fresh.clear()
  }

  /** Calls back with every interval, in no order of sets. */
  forEach(
    visit: (bucket: IntervalBucket, lane: number, first: number, length: number) => void,
  ): void {
    this.#closeRun()
    for (let set = 0; set < this.#setsDealt; set++) {
      const lane = this.#lane[set]!
      if (lane === NONE) continue
      this.#sets.forEach(set, (number, first, length) => {
        const bucket = this.#buckets[number]
        if (bucket !== undefined) visit(bucket, lane, first, length)
      })
    }
  }

  #find(counter: number, lane: number): number {
    if (lane >= this.#firstOfLane.length) return NONE
    // A lane is of one counter, unless somebody else than the SDK made it.
    let set = this.#firstOfLane[lane]!
    while (set !== NONE && this.#counter[set] !== counter) set = this.#nextOfLane[set]!
    return set
  }

  #open(counter: number, lane: number): number {
    const found = this.#find(counter, lane)
    if (found !== NONE) return found
    const set = this.#freeSets.pop() ?? this.#setsDealt++
    if (set >= this.#counter.length) this.#growSets()
    if (lane >= this.#firstOfLane.length) this.#growLanes(lane + 1)
    this.#counter[set] = counter
    this.#lane[set] = lane
    this.#nextOfLane[set] = this.#firstOfLane[lane]!
    this.#firstOfLane[lane] = set
    this.#namedUntil[set] = -1
    this.#sets.open(set)
    this.#lanes.retain(lane)
    return set
  }

  /** A step of the sweep, and no dead interval where the sequence goes. */
  #sweepBefore(counter: number, lane: number, sequence: number): void {
    this.#sweptAhead -= SWEPT_PER_INSERT
    while (this.#sweptAhead < 0 && this.#numbers.areDead) this.#sweepNext()
    const set = this.#find(counter, lane)
    if (set !== NONE && this.#sets.bucketOf(set, sequence) >= 0) this.#sweepSet(set)
  }

  /** Looks at one set more, or ends the sweep: all that it was for is gone. */
  #sweepNext(): void {
    if (this.#nextSwept < this.#setsDealt) {
      const set = this.#nextSwept++
      if (this.#lane[set] === NONE) this.#sweptAhead++
      else this.#sweepSet(set)
      return
    }
    this.#numbers.endSweep()
    this.#nextSwept = 0
    this.#sweptAhead = 0
  }

  #sweepSet(set: number): void {
    this.#sweptAhead += this.#sets.roomOf(set)
    if (!this.#sets.sweep(set, this.#numbers.dead)) this.#close(set)
  }

  #close(set: number): void {
    const lane = this.#lane[set]!
    if (this.#firstOfLane[lane] === set) {
      this.#firstOfLane[lane] = this.#nextOfLane[set]!
    } else {
      let before = this.#firstOfLane[lane]!
      while (this.#nextOfLane[before] !== set) before = this.#nextOfLane[before]!
      this.#nextOfLane[before] = this.#nextOfLane[set]!
    }
    this.#lane[set] = NONE
    this.#freeSets.push(set)
    this.#lanes.release(lane)
  }

  #growSets(): void {
    const sets = 2 * this.#counter.length
    this.#counter = grown(this.#counter, new Int32Array(sets))
    this.#lane = grown(this.#lane, new Int32Array(sets))
    this.#nextOfLane = grown(this.#nextOfLane, new Int32Array(sets))
    this.#namedUntil = grown(this.#namedUntil, new Float64Array(sets))
    this.#nameIndex = grown(this.#nameIndex, new Int32Array(sets))
  }

  #growLanes(lanes: number): void {
    const length = Math.max(lanes, 2 * this.#firstOfLane.length)
    this.#firstOfLane = grown(this.#firstOfLane, new Int32Array(length).fill(NONE))
  }
}
