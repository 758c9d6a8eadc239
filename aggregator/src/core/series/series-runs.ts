import assert from 'node:assert'

/** The most series of a run: sorting and writing so many keeps a commit short. */
export const RUN_SERIES_MAX = 32_768
/** A run of so many series stays as it is for good. */
const RUN_SERIES_FINAL = RUN_SERIES_MAX / 2
/** So many runs of one tier become one run of the next. */
const FAN_IN = 8
const FAN_IN_BITS = 3

/** The series of the slots [first, until), which are stored sorted. */
export type SeriesRun = { first: number; until: number }

/**
 * What a commit does to the stored runs: it writes `runs`, which follow one another, the first of
 * them in the place of all stored ones from there on. The stored ones end at `stored`.
 */
export type RunChange = { stored: number; runs: readonly SeriesRun[] }

/**
 * The stored runs of one counter in one partition, which follow one another from slot 0 on, and how
 * new series change them: as in a log-structured merge tree, tier by tier. The sizes of a tier are
 * within a factor of 8; no run is of a higher tier than one before it, and of each tier there are at
 * most 7, unless a merge has to wait. So there are at most 31 runs beside the final ones, and a name
 * is written at most 6 times.
 */
export class SeriesRuns {
  readonly #firsts: number[] = []
  /** Stored ones without a look-up filter, in order: a migration has made them. */
  readonly #unfiltered: SeriesRun[] = []
  #until = 0

  /** Slots below are in runs. */
  get until(): number {
    return this.#until
  }

  get count(): number {
    return this.#firsts.length
  }

  get lackFilters(): boolean {
    return this.#unfiltered.length > 0
  }

  /** A stored run; in the order of slots. */
  restore({ first, until }: SeriesRun, hasFilter: boolean): void {
    assert(first === this.#until && until > first, 'runs of series follow one another')
    this.#firsts.push(first)
    if (!hasFilter) this.#unfiltered.push({ first, until })
    this.#until = until
  }

  /**
   * Takes the series up to `until` in; undefined when none is new. A merge that would write more
   * than `rewritesMax` stored names again waits for a later call.
   */
  extend(until: number, rewritesMax = Infinity): RunChange | undefined {
    const stored = this.#until
    if (until <= stored) return undefined
    let first = stored
    for (;;) {
      const from = this.#mergedFrom(first, until)
      if (from === this.#firsts.length || stored - this.#firsts[from]! > rewritesMax) break
      first = this.#firsts[from]!
      this.#firsts.length = from
    }
    const runs: SeriesRun[] = []
    for (let at = first; at < until; at += RUN_SERIES_MAX) {
      runs.push({ first: at, until: Math.min(until, at + RUN_SERIES_MAX) })
      this.#firsts.push(at)
    }
    // Whatever is written has a filter.
    while ((this.#unfiltered.at(-1)?.first ?? -1) >= first) this.#unfiltered.pop()
    this.#until = until
    return { stored, runs }
  }

  /** Stored runs without a filter, of at most `namesMax` names together: they get theirs now. */
  takeUnfiltered(namesMax: number): SeriesRun[] {
    const taken: SeriesRun[] = []
    let names = 0
    for (let run = this.#unfiltered.at(-1); run !== undefined; run = this.#unfiltered.at(-1)) {
      names += run.until - run.first
      if (names > namesMax) break
      taken.push(run)
      this.#unfiltered.pop()
    }
    return taken
  }

  /** From which of the runs on they become one with [first, until); their number when from none. */
  #mergedFrom(first: number, until: number): number {
    const firsts = this.#firsts
    const tier = tierOf(until - first)
    const tierAt = (run: number): number => tierOf((firsts[run + 1] ?? first) - firsts[run]!)
    let from = firsts.length
    while (from > 0 && tierAt(from - 1) < tier) from--
    if (from < firsts.length || tier === FINAL_TIER) return from
    while (from > 0 && tierAt(from - 1) === tier) {
      from--
      const isFinal = tierOf(until - firsts[from]!) === FINAL_TIER
      if (isFinal || firsts.length - from + 1 === FAN_IN) return from
    }
    return firsts.length
  }
}

/** Sizes from 1, 8, 64, 512 and 4096 on; those that are final are above them. */
const FINAL_TIER = 5

function tierOf(size: number): number {
  if (size >= RUN_SERIES_FINAL) return FINAL_TIER
  return Math.floor((31 - Math.clz32(size)) / FAN_IN_BITS)
}
