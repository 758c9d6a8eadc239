/** Smaller arrays are made anew: most buckets of live traffic never need a larger one. */
const KEPT_BYTES_MIN = 16 * 1024
const KEPT_BYTES_MAX = 16 * 1024 * 1024

/**
 * Arrays for ids on their way to a commit, used again by whichever bucket of the process needs one:
 * each commit empties all of them, and made anew by doubling they were a fifth of what is allocated
 * outside the heap, for which V8 collects. What waits here is bounded, whatever partitions are idle.
 */
export class FreshArrays {
  /** By their length, a power of two. */
  readonly #free = new Map<number, Int32Array[]>()
  #bytes = 0

  /** Bytes that wait for a bucket. */
  get byteLength(): number {
    return this.#bytes
  }

  /** An array of exactly `words`, whose content is anything. */
  take(words: number): Int32Array {
    const free = this.#free.get(words)?.pop()
    if (free === undefined) return new Int32Array(words)
    this.#bytes -= free.byteLength
    return free
  }

  /** Takes an array that nobody looks at any more. */
  give(array: Int32Array): void {
    const { byteLength, length } = array
    if (byteLength < KEPT_BYTES_MIN || this.#bytes + byteLength > KEPT_BYTES_MAX) return
    const free = this.#free.get(length)
    if (free === undefined) this.#free.set(length, [array])
    else free.push(array)
    this.#bytes += byteLength
  }
}
