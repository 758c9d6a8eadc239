type Bucket = {
  readonly counter: number
  /** All `at` in it are below; epoch milliseconds. */
  readonly end: number
  /** First offset of the first commit that has something of this bucket. */
  firstOffset: number
}

/** The live buckets of each counter: what is in one is forgotten together. */
export class CounterBuckets<B extends Bucket> {
  readonly #lists = new Map<number, B[]>()

  /**
   * The live bucket of a counter that ends at `end`. Ids are not always brought back in the order of
   * their commits, so its first offset may still go down.
   */
  find(counter: number, end: number, firstOffset: number): B | undefined {
    const bucket = this.#lists.get(counter)?.findLast((one) => one.end === end)
    if (bucket !== undefined) bucket.firstOffset = Math.min(bucket.firstOffset, firstOffset)
    return bucket
  }

  /** Adds a bucket that `find` did not find. */
  add(bucket: B): void {
    const list = this.#lists.get(bucket.counter)
    if (list === undefined) this.#lists.set(bucket.counter, [bucket])
    else list.push(bucket)
  }

  *all(): Generator<B> {
    for (const list of this.#lists.values()) yield* list
  }

  /** Takes out the buckets of a counter that end at or before `time`. */
  take(counter: number, time: number): B[] {
    const list = this.#lists.get(counter) ?? []
    const taken = list.filter(({ end }) => end <= time)
    if (taken.length === 0) return taken
    this.#lists.set(
      counter,
      list.filter(({ end }) => end > time),
    )
    return taken
  }

  /** The end of the counter's bucket that expires first; Infinity when it has none. */
  firstEnd(counter: number): number {
    let first = Infinity
    for (const { end } of this.#lists.get(counter) ?? []) first = Math.min(first, end)
    return first
  }
}
