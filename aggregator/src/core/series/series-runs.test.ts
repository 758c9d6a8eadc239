import assert from 'node:assert'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RUN_SERIES_MAX, type SeriesRun, SeriesRuns } from './series-runs.ts'

/** What the table has after each change, and how often each name was written. */
class Table {
  runs: SeriesRun[] = []
  readonly written: number[] = []
  readonly policy = new SeriesRuns()

  commit(until: number, rewritesMax?: number): void {
    const change = this.policy.extend(until, rewritesMax)
    if (change === undefined) return
    const first = change.runs[0]!.first
    assert(change.stored - first <= (rewritesMax ?? Infinity))
    const kept = this.runs.filter((run) => run.first < first)
    assert.equal(kept.at(-1)?.until ?? 0, first)
    assert.equal(this.runs.at(-1)?.until ?? 0, change.stored)
    this.runs = [...kept, ...change.runs]
    for (let slot = first; slot < until; slot++) this.written[slot] = (this.written[slot] ?? 0) + 1
  }

  expectSound(until: number): void {
    assert.equal(this.policy.until, until)
    assert.equal(this.policy.count, this.runs.length)
    let at = 0
    for (const { first, until: end } of this.runs) {
      assert.equal(first, at)
      assert(end > first)
      assert(end - first <= RUN_SERIES_MAX)
      at = end
    }
    assert.equal(at, until)
  }

  /** Those that are no longer than half of the longest run. */
  get small(): number {
    return this.runs.filter(({ first, until }) => until - first < RUN_SERIES_MAX / 2).length
  }
}

const sizes = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 600 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
  ),
  { minLength: 1, maxLength: 300 },
)

test('runs follow one another, at most 31 beside the final ones, each name is written at most 6 times', () => {
  fc.assert(
    fc.property(sizes, (all) => {
      const table = new Table()
      let size = 0
      for (const more of all) {
        size += more
        table.commit(size)
        table.expectSound(size)
        expect(table.small).toBeLessThanOrEqual(31)
      }
      expect(table.written.reduce((most, one) => Math.max(most, one), 0)).toBeLessThanOrEqual(6)
      const final = table.runs.length - table.small
      expect(final).toBeLessThanOrEqual(size / (RUN_SERIES_MAX / 2))
    }),
    { numRuns: 60 },
  )
})

test('I12: no more names are written again than may be, and merges that had to wait are made up for', () => {
  const change = fc.tuple(fc.integer({ min: 1, max: 600 }), fc.nat(2000))
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 300 }), (all) => {
      const table = new Table()
      let size = 0
      for (const [more, rewritesMax] of all) {
        table.commit((size += more), rewritesMax)
        table.expectSound(size)
      }
      // As many again of the largest size: what waited is in the way of each of them.
      for (const _ of all) table.commit((size += 600))
      table.expectSound(size)
      expect(table.small).toBeLessThanOrEqual(31)
    }),
    { numRuns: 60 },
  )
})

test('one new series a commit: 100,000 of them are in less than 40 runs', () => {
  const table = new Table()
  let most = 0
  let writes = 0
  for (let size = 1; size <= 100_000; size++) {
    const change = table.policy.extend(size)!
    writes += change.runs.length
    most = Math.max(most, table.policy.count)
  }
  expect(most).toBeLessThan(40)
  expect(writes).toBe(100_000)
})

test('as loaded, so it goes on as if it had never been stopped', () => {
  fc.assert(
    fc.property(sizes, sizes, (before, after) => {
      const one = new SeriesRuns()
      const table = new Table()
      let size = 0
      for (const more of before) {
        table.commit((size += more))
        one.extend(size)
      }
      const loaded = new SeriesRuns()
      for (const run of table.runs) loaded.restore(run, true)
      for (const more of after) {
        size += more
        expect(loaded.extend(size)).toEqual(one.extend(size))
      }
    }),
    { numRuns: 30 },
  )
})

test('I12: stored runs without a filter get one each, so many names at once, unless a merge comes first', () => {
  const stored = fc.array(fc.tuple(fc.integer({ min: 1, max: 500 }), fc.boolean()))
  const step = fc.record({ more: fc.nat(600), namesMax: fc.nat(2000) })
  fc.assert(
    fc.property(stored, fc.array(step), (runs, steps) => {
      const policy = new SeriesRuns()
      const lacking = new Map<number, number>()
      for (const [size, hasFilter] of runs) {
        const first = policy.until
        policy.restore({ first, until: first + size }, hasFilter)
        if (!hasFilter) lacking.set(first, first + size)
      }
      for (const { more, namesMax } of [...steps, { more: 0, namesMax: Infinity }]) {
        const change = policy.extend(policy.until + more)
        const from = change?.runs[0]?.first ?? Infinity
        for (const first of lacking.keys()) if (first >= from) lacking.delete(first)
        const taken = policy.takeUnfiltered(namesMax)
        for (const { first, until } of taken) {
          expect(lacking.get(first)).toBe(until)
          lacking.delete(first)
        }
        const names = taken.reduce((sum, { first, until }) => sum + until - first, 0)
        expect(names).toBeLessThanOrEqual(namesMax)
        expect(policy.lackFilters).toBe(lacking.size > 0)
      }
      expect(policy.lackFilters).toBe(false)
    }),
  )
})

test('a run that is missing is noticed', () => {
  const runs = new SeriesRuns()
  runs.restore({ first: 0, until: 5 }, true)
  expect(() => runs.restore({ first: 6, until: 9 }, true)).toThrow(/follow one another/)
})
