/**
 * The deltas of one partition's commits, oldest first, as a ring of typed-array columns: 36 bytes an
 * entry, no object each. The entries of one slot are chained backwards, newest first, so a look-up
 * walks only what it adds up, and what leaves at the old end needs no search.
 *
 * Entries are numbered without end; `number & mask` is their place. `first` is the first offset of
 * the commit they came with: within a ring it never falls.
 */
export class DirtRing {
  #capacity = ENTRIES_INITIAL
  #begin = 0
  #end = 0
  #first = new Float64Array(ENTRIES_INITIAL)
  #counter = new Int32Array(ENTRIES_INITIAL)
  #slot = new Int32Array(ENTRIES_INITIAL)
  #start = new Float64Array(ENTRIES_INITIAL)
  #delta = new BigInt64Array(ENTRIES_INITIAL)
  /** How many entries further back the same slot's previous entry is; 0 when there is none. */
  #back = new Int32Array(ENTRIES_INITIAL)
  /** Only deltas beyond int64 have one: entry number -> carry. */
  #carries = new Map<number, bigint>()
  /** counter -> slot -> its newest entry; exactly the slots that have entries. */
  #heads = new Map<number, Map<number, number>>()

  get size(): number {
    return this.#end - this.#begin
  }

  get bytes(): number {
    return this.#capacity * ENTRY_BYTES
  }

  append(
    first: number,
    counter: number,
    start: number,
    slots: Int32Array,
    deltas: BigInt64Array,
    carries: BigInt64Array | undefined,
  ): void {
    this.#makeRoom(slots.length)
    const heads = this.#headsOf(counter)
    const mask = this.#capacity - 1
    for (let i = 0; i < slots.length; i++) {
      const entry = this.#end++
      const at = entry & mask
      const slot = slots[i]!
      const previous = heads.get(slot)
      this.#first[at] = first
      this.#counter[at] = counter
      this.#slot[at] = slot
      this.#start[at] = start
      this.#delta[at] = deltas[i]!
      this.#back[at] = previous === undefined ? 0 : entry - previous
      heads.set(slot, entry)
      if (carries !== undefined && carries[i] !== 0n) this.#carries.set(entry, carries[i]!)
    }
  }

  /** What the commits from offset `from` on add to a slot, over all windows. */
  sumSince(counter: number, slot: number, from: number): bigint {
    let sum = 0n
    this.eachSince(counter, slot, from, (_start, _first, delta) => (sum += delta))
    return sum
  }

  /** The entries of one slot, newest first, of the commits from offset `from` on. */
  eachSince(
    counter: number,
    slot: number,
    from: number,
    visit: (start: number, first: number, delta: bigint) => void,
  ): void {
    let entry = this.#heads.get(counter)?.get(slot)
    const mask = this.#capacity - 1
    while (entry !== undefined && entry >= this.#begin) {
      const at = entry & mask
      if (this.#first[at]! < from) return
      visit(this.#start[at]!, this.#first[at]!, this.#deltaOf(entry))
      const back = this.#back[at]!
      entry = back === 0 ? undefined : entry - back
    }
  }

  /** Drops the entries of the commits before offset `to`, oldest first, each shown to `visit`. */
  prune(
    to: number,
    visit: (counter: number, slot: number, first: number, delta: () => bigint) => void,
  ): void {
    const mask = this.#capacity - 1
    for (; this.#begin < this.#end; this.#begin++) {
      const entry = this.#begin
      const at = entry & mask
      if (this.#first[at]! >= to) break
      const counter = this.#counter[at]!
      const slot = this.#slot[at]!
      visit(counter, slot, this.#first[at]!, () => this.#deltaOf(entry))
      const heads = this.#headsOf(counter)
      if (heads.get(slot) === entry) heads.delete(slot)
      if (this.#carries.size > 0) this.#carries.delete(entry)
    }
    const wasted = this.#capacity > ENTRIES_INITIAL && this.size * SHRINK_BELOW < this.#capacity
    if (wasted) this.#resize(this.#capacity / 2)
  }

  /** How many of the oldest entries belong to commits before offset `to`. */
  sizeBefore(to: number): number {
    let low = this.#begin
    let high = this.#end
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      if (this.#first[middle & (this.#capacity - 1)]! < to) low = middle + 1
      else high = middle
    }
    return low - this.#begin
  }

  #deltaOf(entry: number): bigint {
    const low = this.#delta[entry & (this.#capacity - 1)]!
    const carry = this.#carries.size === 0 ? undefined : this.#carries.get(entry)
    return carry === undefined ? low : low + (carry << 64n)
  }

  #headsOf(counter: number): Map<number, number> {
    const known = this.#heads.get(counter)
    if (known !== undefined) return known
    const heads = new Map<number, number>()
    this.#heads.set(counter, heads)
    return heads
  }

  #makeRoom(entries: number): void {
    let capacity = this.#capacity
    while (this.size + entries > capacity) capacity *= 2
    if (capacity !== this.#capacity) this.#resize(capacity)
  }

  #resize(capacity: number): void {
    const place = (entry: number): number => entry & (this.#capacity - 1)
    const first = new Float64Array(capacity)
    const counter = new Int32Array(capacity)
    const slot = new Int32Array(capacity)
    const start = new Float64Array(capacity)
    const delta = new BigInt64Array(capacity)
    const back = new Int32Array(capacity)
    for (let entry = this.#begin; entry < this.#end; entry++) {
      const from = place(entry)
      const to = entry & (capacity - 1)
      first[to] = this.#first[from]!
      counter[to] = this.#counter[from]!
      slot[to] = this.#slot[from]!
      start[to] = this.#start[from]!
      delta[to] = this.#delta[from]!
      back[to] = this.#back[from]!
    }
    this.#capacity = capacity
    this.#first = first
    this.#counter = counter
    this.#slot = slot
    this.#start = start
    this.#delta = delta
    this.#back = back
  }
}

const ENTRIES_INITIAL = 1024
const ENTRY_BYTES = 36
/** A ring is halved when less than this part of it is in use: not right after it has grown. */
const SHRINK_BELOW = 8
