import { KeyFilter } from '@countersink/shared/key-filter'
import type pg from 'pg'
import type { SeriesDictionary } from '../core/series/series-dictionary.ts'
import type { SeriesRun } from '../core/series/series-runs.ts'
import { bigInt8ArrayParameter, int4s } from './binary-arrays.ts'
import { movedPartitions } from './moved.ts'

export type Place = { counter: number; partition: number }

/** The look-up filter of a run, as the table has it. */
export function filterWords(
  dictionary: SeriesDictionary,
  { first, until }: SeriesRun,
): BigInt64Array {
  const filter = new KeyFilter(until - first)
  for (let slot = first; slot < until; slot++) {
    filter.add(dictionary.bytes, dictionary.startOf(slot), dictionary.keyEndOf(slot))
  }
  return filter.words()
}

/**
 * Filters of stored runs that have none, since a migration has made them, as the parameters of one
 * statement, which can be sent again as it is.
 */
export class RunFilters {
  readonly #schema: string
  #runs: (Place & { first: number; end: number })[] = []
  #words: bigint[] = []
  #names = 0

  constructor(schema: string) {
    this.#schema = schema
  }

  begin(): void {
    this.#runs = []
    this.#words = []
    this.#names = 0
  }

  /** Of so many names the runs are. */
  get names(): number {
    return this.#names
  }

  add(place: Place, dictionary: SeriesDictionary, run: SeriesRun): void {
    for (const word of filterWords(dictionary, run)) this.#words.push(word)
    this.#runs.push({ ...place, first: run.first, end: this.#words.length })
    this.#names += run.until - run.first
  }

  statements(moved: readonly unknown[]): pg.QueryConfig[] {
    if (this.#runs.length === 0) return []
    const s = this.#schema
    const runs = this.#runs
    const statement = {
      name: `fill-filters-${s}`,
      text: `with ${movedPartitions(s)}
        update ${s}.series_runs r set filter = ($9::bigint[])[u.lo : u.hi]
        from unnest($4::int[], $5::int[], $6::int[], $7::int[], $8::int[])
          u (counter, partition, first, lo, hi)
          join moved using (partition)
        where r.counter = u.counter and r.partition = u.partition and r.first = u.first
          and r.from_key = '' and r.block = 0`,
      values: [
        ...moved,
        int4s(runs.map(({ counter }) => counter)),
        int4s(runs.map(({ partition }) => partition)),
        int4s(runs.map(({ first }) => first)),
        int4s(runs.map((_, i) => (runs[i - 1]?.end ?? 0) + 1)),
        int4s(runs.map(({ end }) => end)),
        bigInt8ArrayParameter(this.#words),
      ],
    }
    return [statement]
  }
}
