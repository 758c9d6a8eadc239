import assert from 'node:assert'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSeriesName } from '@countersink/aggregator/core/series/series-dictionary'
import type { PartitionState } from '@countersink/aggregator/core/partition-state'
import { type ClientBed, createClientBed } from './client-bed.ts'
import type { LogBatch, Step } from './log-cases.ts'
import { VERSIONS } from './log-cases.ts'
import { neverCrashed, Play } from './partition-play.ts'
import { readRuns, type StoredName } from './series-runs.ts'

const SCHEMA = 'countersink_1'

let bed: ClientBed

beforeAll(async () => (bed = await createClientBed()))
afterAll(async () => await bed.stop())

/** What a name could be taken for: of SQL, of an array's text form, or in another order. */
const STRANGE = [
  '"',
  '\\',
  '\\"',
  '{',
  '}',
  '{}',
  '{a,b}',
  ',',
  'NULL',
  'null',
  ' NULL ',
  "'; drop table x; --",
  '\ud83d\ude00',
  '\uffee',
  '\u00e9',
  '\u001f\n\t\u0001',
  'x'.repeat(1024),
  `${'\u00e9'.repeat(511)}xy`,
]

const key = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3000).map((n) => `key-${n % 7}/${n}`) },
  { weight: 2, arbitrary: fc.constantFrom(...STRANGE) },
  { weight: 1, arbitrary: fc.nat(40).map((n) => `${'long '.repeat(60)}${n}`) },
)
const dims = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...STRANGE).map((b) => ({ a: 'x', b: b.slice(0, 100) })),
  },
)
const counter = fc.constantFrom('views', 'views', 'likes')
/** Most batches name a few series, some a hundred: so runs of several tiers come about. */
const batch = fc.record({
  few: fc.array(fc.record({ counter, key, dims }), { minLength: 1, maxLength: 4 }),
  more: fc.nat(20).map((n) => (n === 0 ? 150 : 0)),
})
type Batch = { few: Named[]; more: number }
type Named = { counter: string; key: string; dims: Record<string, string> }

const plan = fc.record({
  picks: fc.constant([]),
  cachedMax: fc.constant(1000),
  fails: fc.nat(5).map((n) => n === 0),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('commit' as const), plan }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const, version: 0 }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('zombie' as const), plan }) },
)

const cases = fc.record({
  batches: fc.array(batch, { minLength: 40, maxLength: 60 }),
  steps: fc.array(step, { minLength: 60, maxLength: 60 }),
})

function logOf(batches: readonly Batch[]): LogBatch[] {
  let n = 0
  return batches.map(({ few, more }) => {
    const short = few[0]!.key.slice(0, 100)
    const others = Array.from({ length: more }, (_, i) => {
      return { counter: 'views', key: `${short}${i * 7919}`, dims: {} }
    })
    const items = [...few, ...others].map((one) => ({ id: `i${n++}`, delta: 1, at: 100, ...one }))
    return { appendTimeMs: 0, items }
  })
}

function namesOf(state: PartitionState): Map<string, StoredName[]> {
  const { partition, counters } = state
  return new Map(
    counters.list.map(({ name, dictionary }) => [
      `${name}/${partition}`,
      Array.from({ length: dictionary.size }, (_, slot) => parseSeriesName(dictionary.name(slot))),
    ]),
  )
}

/** The keys of a counter in the order of first sight. */
function keysInOrder(log: readonly LogBatch[], name: string): string[] {
  const events = log.flatMap(({ items }) => items).filter((one) => typeof one !== 'string')
  return [...new Set(events.filter((one) => one.counter === name).map((one) => one.key))]
}

/** A partition whose stored runs are looked at wherever its sums would be. */
class NamesPlay extends Play {
  merges = 0
  #runs = 0

  counters(): string[] {
    return ['views', 'likes'].map((name) => `${name}-${this.run}`)
  }

  override async check(): Promise<void> {
    const { flaws, sizes } = await readRuns(bed.client, SCHEMA, this.counters())
    assert.deepEqual(flaws, [])
    const runs = sizes.get(`views-${this.run}/${this.partition}`)?.length ?? 0
    if (runs < this.#runs) this.merges++
    this.#runs = runs
  }
}

test('I1, I3: names stand in sorted runs, each slot once, whatever fails, crashes or takes over, also while runs merge', async () => {
  let merges = 0
  await fc.assert(
    fc.asyncProperty(cases, async ({ batches, steps }) => {
      const log = logOf(batches)
      const one = new NamesPlay(bed)
      await one.begin(log, 0)
      for (const next of steps) {
        await one.take({ kind: 'fold', batches: 1, again: 0 }, false)
        await one.take(next, false)
      }
      await one.finish()
      merges += one.merges
      const { names } = await readRuns(bed.client, SCHEMA, one.counters())
      const reference = namesOf(neverCrashed(one.stored, one.partition))
      expect(names).toEqual(reference)
      for (const name of ['views', 'likes']) {
        const all = names.get(`${name}-${one.run}/${one.partition}`) ?? []
        const totals = all.filter((each) => Object.keys(each.dims).length === 0)
        expect(totals.map((each) => each.key)).toEqual(keysInOrder(log, name))
      }
      await one.driver.claim(VERSIONS[0]!)
      expect(namesOf(one.driver.state)).toEqual(reference)
    }),
    { numRuns: 8, endOnFailure: true },
  )
  expect(merges).toBeGreaterThan(10)
})
