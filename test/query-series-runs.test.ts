import { createDatabase, type Database } from '@countersink/query-api/postgres/database'
import { listKeys } from '@countersink/query-api/postgres/keys-query'
import { load } from '@countersink/query-api/postgres/load-query'
import { findSeries, readDealtSlots } from '@countersink/query-api/postgres/series-query'
import { KeyFilter } from '@countersink/shared/key-filter'
import { createLogger } from '@countersink/shared/log'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { databaseUrl, TEMPLATE_DATABASE } from './servers.ts'

const NAME = `series_runs_${process.pid}`
const COUNTERS = [1, 2]
const PARTITIONS = [0, 1, 2]
/** More than a block may have room for. */
const MANY = 300

/** One series; its slot is its place among those of its counter and partition. */
type Series = { counter: number; partition: number; key: string; dims: Record<string, string> }
type Slotted = Series & { slot: number }

/** How slots are cut into runs and runs into blocks: sizes that are taken in turn. */
type Cuts = { runs: number[]; blocks: number[]; filtered: boolean[] }

const admin = new pg.Client({ connectionString: inject('servers').adminUrl })
let client: pg.Client
let database: Database

beforeAll(async () => {
  await admin.connect()
  await admin.query(`create database ${NAME} template ${TEMPLATE_DATABASE}`)
  const url = databaseUrl(inject('servers').adminUrl, NAME)
  client = new pg.Client({ connectionString: url })
  await client.connect()
  database = createDatabase(url, createLogger('test', 'warn'))
  await client.query(
    `insert into countersink_1.partitions (partition, start, next, floor, ids_floor)
     select p, 0, 0, 0, 0 from unnest($1::int[]) p`,
    [PARTITIONS],
  )
  await client.query(
    `insert into countersink_1.partition_counters (partition, counter, ordinal, clock)
     select p, c, c, 0 from unnest($1::int[]) p, unnest($2::int[]) c`,
    [PARTITIONS, COUNTERS],
  )
})

afterAll(async () => {
  await database?.stop()
  await client?.end()
  await admin.query(`drop database if exists ${NAME} with (force)`)
  await admin.end()
})

/** Prefixes of one another, and characters whose order in UTF-16 is another than in UTF-8. */
const key = fc.string({
  unit: fc.constantFrom('a', 'b', '\u0001', 'é', '\uffff', '😀'),
  minLength: 1,
  maxLength: 4,
})
const dims = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Record<string, string>>({}) },
  { weight: 1, arbitrary: fc.record({ n: fc.nat(9).map(String) }) },
)
const series = fc.record({
  counter: fc.constantFrom(...COUNTERS),
  partition: fc.constantFrom(...PARTITIONS),
  key,
  dims,
})
const size = fc.integer({ min: 1, max: 60 })
const cuts: fc.Arbitrary<Cuts> = fc.record({
  runs: fc.array(fc.oneof(size, fc.constant(1000)), { minLength: 1 }),
  blocks: fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), size), { minLength: 1 }),
  filtered: fc.array(fc.boolean(), { minLength: 1 }),
})
/** Keys that have so many breakdowns that they fill blocks, between the others. */
const names = fc
  .tuple(fc.array(series, { maxLength: 200 }), fc.array(series, { maxLength: 2 }), fc.nat(200))
  .map(([some, hot, at]) => {
    const many = hot.flatMap((one) =>
      Array.from({ length: MANY }, (_, i) => ({ ...one, dims: { n: String(i) } })),
    )
    return uniqueOf([...some.slice(0, at), ...many, ...some.slice(at)])
  })

function uniqueOf(all: readonly Series[]): Slotted[] {
  const seen = new Set<string>()
  const sizes = new Map<string, number>()
  return all.flatMap((one) => {
    const name = JSON.stringify([one.counter, one.partition, one.key, one.dims])
    if (seen.has(name)) return []
    seen.add(name)
    const place = `${one.counter}/${one.partition}`
    const slot = sizes.get(place) ?? 0
    sizes.set(place, slot + 1)
    return [{ ...one, slot }]
  })
}

function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

async function store(all: readonly Slotted[], { runs, blocks, filtered }: Cuts): Promise<void> {
  await client.query('truncate countersink_1.series_runs')
  let turn = 0
  const inTurn = <T>(values: readonly T[]): T => values[turn++ % values.length]!
  for (const partition of PARTITIONS) {
    for (const counter of COUNTERS) {
      const own = all.filter((one) => one.counter === counter && one.partition === partition)
      for (let first = 0; first < own.length;) {
        const run = own.slice(first, first + inTurn(runs))
        const blockSize = () => inTurn(blocks)
        await storeRun(run, blockSize, inTurn(filtered))
        first += run.length
      }
    }
  }
}

async function storeRun(
  run: readonly Slotted[],
  blockSize: () => number,
  isFiltered: boolean,
): Promise<void> {
  const { counter, partition, slot: first } = run[0]!
  const sorted = run.toSorted((a, b) => compareKeys(a.key, b.key) || a.slot - b.slot)
  const filter = new KeyFilter(run.length)
  for (const one of run) {
    const bytes = Buffer.from(`>${one.key}<`)
    filter.add(bytes, 1, bytes.length - 1)
  }
  for (let at = 0, block = 0; at < sorted.length; block++) {
    const part = sorted.slice(at, at + blockSize())
    at += part.length
    const hasDims = part.some((one) => Object.keys(one.dims).length > 0)
    const dimsOf = (one: Series) => (Object.keys(one.dims).length > 0 ? one.dims : null)
    await client.query(
      `insert into countersink_1.series_runs
         (counter, partition, first, until, from_key, block, keys, slots, dims, filter)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        ...[counter, partition, first, first + run.length],
        ...[block === 0 ? '' : part[0]!.key, block],
        part.map((one) => one.key),
        part.map((one) => one.slot),
        hasDims ? part.map(dimsOf) : null,
        isFiltered && block === 0 ? [...filter.words()] : null,
      ],
    )
  }
}

const byPlace = (a: { partition: number; slot: number }, b: { partition: number; slot: number }) =>
  a.partition - b.partition || a.slot - b.slot

/** Each of them, with dims that it has and dims that it has not, one by one and all in one. */
async function expectFound(all: readonly Slotted[], keys: readonly string[]): Promise<void> {
  const asked = COUNTERS.flatMap((counter) =>
    keys.flatMap((one) =>
      ['{}', '{"n":"1"}', `{"n":"${MANY - 1}"}`].map((text) => ({ counter, key: one, dims: text })),
    ),
  )
  const want = asked.map((one) =>
    all
      .filter((s) => s.counter === one.counter && s.key === one.key)
      .filter((s) => JSON.stringify(s.dims) === one.dims)
      .map(({ partition, slot }) => ({ partition, slot }))
      .toSorted(byPlace),
  )
  const found = await findSeries(database, 1, asked)
  expect(found.map((slots) => slots.toSorted(byPlace))).toEqual(want)
  for (let i = 0; i < asked.length; i += 7) {
    const [few = []] = await findSeries(database, 1, [asked[i]!])
    expect(few.toSorted(byPlace)).toEqual(want[i])
  }
}

async function expectListed(
  all: readonly Slotted[],
  prefix: string,
  after: string,
  limit: number,
): Promise<void> {
  const keys = all.filter(({ counter }) => counter === 1).map((one) => one.key)
  const want = [...new Set(keys)]
    .filter((one) => one.startsWith(prefix) && compareKeys(one, after) > 0)
    .toSorted(compareKeys)
  expect(await listKeys(database, 1, 1, prefix, after, limit)).toEqual(want.slice(0, limit))
}

async function expectDealt(all: readonly Slotted[], above: number): Promise<void> {
  const places = COUNTERS.flatMap((counter) =>
    PARTITIONS.map((partition) => ({ counter, partition, above, upTo: above + 1 })),
  )
  const named = (one: Slotted): string =>
    JSON.stringify([one.counter, one.partition, one.slot, one.key, one.dims])
  const dealt = await readDealtSlots(client, 1, places)
  const got = dealt.map(({ series: { counter, key: name, dims: text }, slot }) =>
    named({ counter, ...slot, key: name, dims: JSON.parse(text) as Record<string, string> }),
  )
  expect(got.toSorted()).toEqual(
    all
      .filter(({ slot }) => slot > above)
      .map(named)
      .toSorted(),
  )
}

async function expectLoaded(all: readonly Slotted[]): Promise<void> {
  const loaded = await load(client)
  for (const { partition, slots } of loaded?.partitions ?? []) {
    const pairs = Array.from({ length: slots.length / 2 }, (_, i) => slots.slice(2 * i, 2 * i + 2))
    const want = COUNTERS.flatMap((counter) => {
      const own = all.filter((one) => one.counter === counter && one.partition === partition)
      return own.length > 0 ? [[counter, own.length - 1]] : []
    })
    expect(pairs.toSorted(([a = 0], [b = 0]) => a - b)).toEqual(want)
  }
}

test('I8: series are found, listed and told in whatever runs and blocks they stand', async () => {
  const property = fc.asyncProperty(
    names,
    cuts,
    fc.array(key, { minLength: 1, maxLength: 5 }),
    fc.record({ limit: fc.integer({ min: 1, max: 40 }), above: fc.integer({ min: -1, max: 350 }) }),
    async (all, division, others, { limit, above }) => {
      await store(all, division)
      const known = [...new Set(all.map((one) => one.key))]
      const asked = [...new Set([...known, ...others, ...known.map((one) => `${one}a`)])]
      await expectFound(all, asked)
      for (const one of ['', ...others, ...known.slice(0, 3)]) {
        const start = one === '' ? '' : String.fromCodePoint(one.codePointAt(0)!)
        await expectListed(all, start, one, limit)
        await expectListed(all, one, '', 1000)
        await expectListed(all, '', one, limit)
      }
      await expectDealt(all, above)
      await expectDealt(all, all.at(-1)?.slot ?? 0)
      await expectLoaded(all)
    },
  )
  await fc.assert(property, { numRuns: 60 })
})

test('a small run whose keys come before all others is listed whole before them', async () => {
  const named = (letter: string, count: number) =>
    Array.from({ length: count }, (_, i) => {
      return { counter: 1, partition: 0, key: `${letter}${i}`, dims: {} }
    })
  const all = uniqueOf([...named('b', 4000), ...named('a', 200)])
  await store(all, { runs: [4000, 200], blocks: [300], filtered: [false] })
  await expectListed(all, '', '', 300)
  await expectListed(all, '', 'a150', 150)
})
