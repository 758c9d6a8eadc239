/**
 * A set of offsets of one partition as sorted, disjoint ranges `[start, end)`. A publisher's
 * offsets come almost in order and in long runs, so a million of them are a few ranges.
 */
export class OffsetRanges {
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  #size = 0

  /** How many offsets there are. */
  get size(): number {
    return this.#size
  }

  get ranges(): number {
    return this.#starts.length
  }

  /** The lowest offset, undefined when there is none. */
  get first(): number | undefined {
    return this.#starts[0]
  }

  /** One past the highest offset, undefined when there is none. */
  get end(): number | undefined {
    return this.#ends.at(-1)
  }

  /** False when it was there already. */
  add(offset: number): boolean {
    const i = this.#rangeFrom(offset)
    const start = this.#starts[i]
    const joinsNext = start === offset + 1
    if (start !== undefined && start <= offset) return false
    const joinsPrevious = i > 0 && this.#ends[i - 1] === offset
    if (joinsPrevious && joinsNext) {
      this.#ends.splice(i - 1, 1)
      this.#starts.splice(i, 1)
    } else if (joinsPrevious) this.#ends[i - 1] = offset + 1
    else if (joinsNext) this.#starts[i] = offset
    else {
      this.#starts.splice(i, 0, offset)
      this.#ends.splice(i, 0, offset + 1)
    }
    this.#size++
    return true
  }

  has(offset: number): boolean {
    const start = this.#starts[this.#rangeFrom(offset)]
    return start !== undefined && start <= offset
  }

  /** Takes out all offsets in `[from, to)` and says how many they were. */
  take(from: number, to: number): number {
    if (to <= from) return 0
    const begin = this.#rangeFrom(from)
    let stop = begin
    let taken = 0
    const keptStarts: number[] = []
    const keptEnds: number[] = []
    for (; stop < this.#starts.length && (this.#starts[stop] ?? to) < to; stop++) {
      const start = this.#starts[stop] ?? 0
      const end = this.#ends[stop] ?? 0
      taken += Math.min(end, to) - Math.max(start, from)
      if (start < from) {
        keptStarts.push(start)
        keptEnds.push(from)
      }
      if (end > to) {
        keptStarts.push(to)
        keptEnds.push(end)
      }
    }
    this.#starts.splice(begin, stop - begin, ...keptStarts)
    this.#ends.splice(begin, stop - begin, ...keptEnds)
    this.#size -= taken
    return taken
  }

  /** The index of the first range that ends after `offset`: the only one that can hold it. */
  #rangeFrom(offset: number): number {
    const last = this.#ends.length - 1
    if (last < 0 || (this.#ends[last] ?? 0) <= offset) return last + 1
    let low = 0
    let high = last
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ends[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
