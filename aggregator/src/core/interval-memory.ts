import { CounterBuckets } from './counter-buckets.ts'
import { FreshIntervals } from './fresh-intervals.ts'
import { IntervalSets } from './interval-sets.ts'
import type { LaneTable } from './lane-table.ts'
import { grown } from './typed-growth.ts'

const INITIAL = 64
const NONE = -1

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
 * copy; each interval knows its bucket and goes when that expires. So a look-up is one search, and
 * live traffic, where a lane's sequences come in their order, costs nothing an event.
 *
 * The payload is not remembered: a further copy is a duplicate even if it says something else. An
 * SDK never gives one sequence to two events.
 */
export class IntervalMemory {
  readonly #lanes: LaneTable
  readonly #sets = new IntervalSets()
  readonly #fresh = new FreshIntervals()
  /** Per set its counter and lane; its neighbours in the chain of its lane and of its counter. */
  #counter = new Int32Array(INITIAL)
  #lane = new Int32Array(INITIAL)
  #nextOfLane = new Int32Array(INITIAL)
  #nextOfCounter = new Int32Array(INITIAL)
  /** Per set the bucket, by its end, in which commits know its lane, and the index there. */
  #namedUntil = new Float64Array(INITIAL)
  #nameIndex = new Int32Array(INITIAL)
  #firstOfLane = new Int32Array(INITIAL).fill(NONE)
  readonly #firstOfCounter: number[] = []
  readonly #freeSets: number[] = []
  #setsDealt = 0
  readonly #buckets: (IntervalBucket | undefined)[] = []
  readonly #freeBuckets: number[] = []
  readonly #live = new CounterBuckets<IntervalBucket>()

  constructor(lanes: LaneTable) {
    this.#lanes = lanes
  }

  /** How many intervals are remembered. */
  get size(): number {
    return this.#sets.size
  }

  /** How many ids they stand for. */
  get sequences(): number {
    return this.#sets.sequences
  }

  get byteLength(): number {
    const perSet = 7 * this.#counter.byteLength
    return this.#sets.byteLength + this.#fresh.byteLength + perSet + this.#firstOfLane.byteLength
  }

  buckets(): Iterable<IntervalBucket> {
    return this.#live.all()
  }

  /** The live bucket of a counter that ends at `end`, made if it is not there yet. */
  bucket(counter: number, end: number, firstOffset: number): IntervalBucket {
    const known = this.#live.find(counter, end, firstOffset)
    if (known !== undefined) return known
    const number = this.#freeBuckets.pop() ?? this.#buckets.length
    const made = { number, counter, end, firstOffset, lanes: [] }
    this.#buckets[number] = made
    this.#live.add(made)
    return made
  }

  /** True when the sequence was counted, in any live bucket of the counter. */
  has(counter: number, lane: number, sequence: number): boolean {
    const set = this.#find(counter, lane)
    return set !== NONE && this.#sets.has(set, sequence)
  }

  /** Remembers a sequence that `has` does not know. Asserts the partition's bound. */
  insert(bucket: IntervalBucket, lane: number, sequence: number): void {
    const set = this.#open(bucket.counter, lane)
    this.#sets.add(set, bucket.number, sequence, 1)
    this.#fresh.add(set, bucket.number, sequence, 1)
  }

  /** Brings back `[first, first + length)`, which is in a commit already. */
  restore(bucket: IntervalBucket, lane: number, first: number, length: number): void {
    this.#sets.add(this.#open(bucket.counter, lane), bucket.number, first, length)
  }

  /** Forgets the buckets of a counter that end at or before `time`. */
  expire(counter: number, time: number): void {
    const expired = this.#live.take(counter, time)
    if (expired.length === 0) return
    const dead = new Uint8Array(this.#buckets.length)
    for (const { number } of expired) {
      dead[number] = 1
      this.#buckets[number] = undefined
      this.#freeBuckets.push(number)
    }
    this.#fresh.drop(dead)
    this.#sweep(counter, dead)
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
    this.#fresh.forEach(set, (bucket, first, length) => {
      visit(this.#buckets[bucket]!, first, length)
    })
  }

  /** All there is, is in commits. */
  markSaved(): void {
    this.#fresh.clear()
  }

  /** Calls back with every interval, in no order of sets. */
  forEach(
    visit: (bucket: IntervalBucket, lane: number, first: number, length: number) => void,
  ): void {
    for (const head of this.#firstOfCounter) {
      for (let set = head; set !== NONE; set = this.#nextOfCounter[set]!) {
        const lane = this.#lane[set]!
        this.#sets.forEach(set, (bucket, first, length) => {
          visit(this.#buckets[bucket]!, lane, first, length)
        })
      }
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
    while (this.#firstOfCounter.length <= counter) this.#firstOfCounter.push(NONE)
    this.#counter[set] = counter
    this.#lane[set] = lane
    this.#nextOfLane[set] = this.#firstOfLane[lane]!
    this.#firstOfLane[lane] = set
    this.#nextOfCounter[set] = this.#firstOfCounter[counter]!
    this.#firstOfCounter[counter] = set
    this.#namedUntil[set] = -1
    this.#sets.open(set)
    this.#lanes.retain(lane)
    return set
  }

  /** Drops the intervals of dead buckets, and the sets that have none left. */
  #sweep(counter: number, dead: Uint8Array): void {
    let before = NONE
    for (let set = this.#firstOfCounter[counter] ?? NONE; set !== NONE;) {
      const next = this.#nextOfCounter[set]!
      if (this.#sets.sweep(set, dead)) {
        before = set
      } else {
        if (before === NONE) this.#firstOfCounter[counter] = next
        else this.#nextOfCounter[before] = next
        this.#close(set)
      }
      set = next
    }
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
    this.#freeSets.push(set)
    this.#lanes.release(lane)
  }

  #growSets(): void {
    const sets = 2 * this.#counter.length
    this.#counter = grown(this.#counter, new Int32Array(sets))
    this.#lane = grown(this.#lane, new Int32Array(sets))
    this.#nextOfLane = grown(this.#nextOfLane, new Int32Array(sets))
    this.#nextOfCounter = grown(this.#nextOfCounter, new Int32Array(sets))
    this.#namedUntil = grown(this.#namedUntil, new Float64Array(sets))
    this.#nameIndex = grown(this.#nameIndex, new Int32Array(sets))
  }

  #growLanes(lanes: number): void {
    const length = Math.max(lanes, 2 * this.#firstOfLane.length)
    this.#firstOfLane = grown(this.#firstOfLane, new Int32Array(length).fill(NONE))
  }
}
