type Sample = { at: number; ends: ReadonlyMap<number, number> }

/** Five minutes at two looks a second. */
const SAMPLES_MAX = 600
/** What was seen longer ago says nothing about now. */
const AGE_MS_MAX = 5_000

/**
 * What was seen of the ends of the log, and when. It tells how old the oldest uncounted record is
 * without reading it: it came after the last look that did not see it.
 */
export class LogEnds {
  readonly #samples: Sample[] = []

  observe(ends: ReadonlyMap<number, number>, at: number): void {
    this.#samples.push({ at, ends })
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }

  /** The partitions of the topic, as last seen. */
  get partitions(): readonly number[] {
    return [...(this.#samples.at(-1)?.ends.keys() ?? [])]
  }

  /** The last known end, however old. */
  end(partition: number): number | undefined {
    return this.#samples.at(-1)?.ends.get(partition)
  }

  isFresh(now: number): boolean {
    const last = this.#samples.at(-1)
    return last !== undefined && now - last.at <= AGE_MS_MAX
  }

  /**
   * Age in milliseconds of the oldest record at or past offset `next`: 0 when there is none, else
   * at least 1, and too great rather than too small, by at most the time between two looks.
   * `appendMax` is the append time of the youngest record before `next`, 0 when unknown.
   * Undefined when the end of the log has not been seen lately.
   */
  lagMs(partition: number, next: number, appendMax: number, now: number): number | undefined {
    if (!this.isFresh(now)) return undefined
    const end = this.end(partition)
    if (end === undefined || end <= next) return 0
    let since = this.#samples[0]!.at
    for (let i = this.#samples.length - 1; i >= 0; i--) {
      const { at, ends } = this.#samples[i]!
      if ((ends.get(partition) ?? 0) > next) continue
      return Math.max(1, now - Math.max(at, appendMax))
    }
    if (appendMax > 0) since = Math.min(since, appendMax)
    return Math.max(1, now - since)
  }
}
