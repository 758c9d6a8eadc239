import { grown } from '../typed-growth.ts'

const INITIAL = 256
const DROPPED = -1

/**
 * The intervals that were added since the last commit, as they will be stored: per set in the order
 * of arrival, each set's as a chain, because the events of many lanes lie mixed in the log. An event
 * that follows its set's last one makes that one longer.
 */
export class FreshIntervals {
  #buckets = new Int32Array(INITIAL)
  #firsts = new Float64Array(INITIAL)
  #lengths = new Float64Array(INITIAL)
  #nexts = new Int32Array(INITIAL)
  /** Per set: 1 + its first and its last entry, 0 for none. */
  #heads = new Int32Array(INITIAL)
  #tails = new Int32Array(INITIAL)
  #touched: number[] = []
  #count = 0

  get byteLength(): number {
    return 24 * this.#buckets.length + 8 * this.#heads.length
  }

  add(set: number, bucket: number, first: number, length: number): void {
    if (set >= this.#heads.length) this.#growSets(set + 1)
    const tail = this.#tails[set]! - 1
    if (
      tail >= 0 &&
      this.#buckets[tail] === bucket &&
      this.#firsts[tail]! + this.#lengths[tail]! === first
    ) {
      this.#lengths[tail]! += length
      return
    }
    if (this.#count === this.#buckets.length) this.#grow()
    const entry = this.#count++
    this.#buckets[entry] = bucket
    this.#firsts[entry] = first
    this.#lengths[entry] = length
    this.#nexts[entry] = 0
    if (tail >= 0) this.#nexts[tail] = entry + 1
    else this.#open(set, entry)
    this.#tails[set] = entry + 1
  }

  /** Takes out what lies in buckets that have expired before they were ever stored. */
  drop(dead: Uint8Array): void {
    for (let entry = 0; entry < this.#count; entry++) {
      const bucket = this.#buckets[entry]!
      if (bucket >= 0 && dead[bucket] === 1) this.#buckets[entry] = DROPPED
    }
  }

  /** The sets that were added to, in the order in which they were met. */
  get sets(): readonly number[] {
    return this.#touched
  }

  forEach(set: number, visit: (bucket: number, first: number, length: number) => void): void {
    for (let entry = this.#heads[set]! - 1; entry >= 0; entry = this.#nexts[entry]! - 1) {
      const bucket = this.#buckets[entry]!
      if (bucket !== DROPPED) visit(bucket, this.#firsts[entry]!, this.#lengths[entry]!)
    }
  }

  clear(): void {
    for (const set of this.#touched) this.#heads[set] = this.#tails[set] = 0
    this.#touched = []
    this.#count = 0
  }

  #open(set: number, entry: number): void {
    this.#heads[set] = entry + 1
    this.#touched.push(set)
  }

  #grow(): void {
    const length = 2 * this.#buckets.length
    this.#buckets = grown(this.#buckets, new Int32Array(length))
    this.#firsts = grown(this.#firsts, new Float64Array(length))
    this.#lengths = grown(this.#lengths, new Float64Array(length))
    this.#nexts = grown(this.#nexts, new Int32Array(length))
  }

  #growSets(sets: number): void {
    const length = Math.max(sets, 2 * this.#heads.length)
    this.#heads = grown(this.#heads, new Int32Array(length))
    this.#tails = grown(this.#tails, new Int32Array(length))
  }
}
