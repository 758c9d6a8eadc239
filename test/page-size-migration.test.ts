import { randomBytes } from 'node:crypto'
import { createLogger } from '@countersink/shared/log'
import { PAGE_SLOTS } from '@countersink/shared/page-format'
import { migrate } from '@countersink/shared/postgres/migrate'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { migrateTo } from './earlier-database.ts'
import { createLogWriter, type LogWriter, type WrittenEvent } from './log-writer.ts'
import { type OracleEvent, seriesName } from './oracle/oracle.ts'
import {
  createFixture,
  type FixturePartition,
  PAGES_OF_128,
  PAGES_OF_256,
  type PageLayout,
} from './query-fixture.ts'
import { databaseUrl } from './servers.ts'
import { createTestBed, type TestBed, waitFor } from './stack.ts'
import { readTotals, readWindows } from './view-sums.ts'

/*
 * A database from before a page held 512 slots: pages of 128 or 256, each folded to an offset of its
 * own, with dirt and floors that lag, in a live generation and in one that is being built.
 */

const EARLIER = [
  '0001_countersink',
  '0002_small_sums',
  '0003_pages_of_256',
  '0004_cold_ids',
] as const
const LAYOUTS = [
  { layout: PAGES_OF_128, migrations: EARLIER.slice(0, 2), conversions: 3 },
  { layout: PAGES_OF_256, migrations: EARLIER, conversions: 2 },
]
const COUNTER = 'views'
const PARTITIONS = 3
/** Of which nobody counts on. */
const HALTED = 2
const KEYS = 1500
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const HUGE = 2n ** 63n - 1n
const start = Math.floor((Date.now() - 3 * HOUR_MS) / HOUR_MS) * HOUR_MS

let name: string
let admin: pg.Client
let client: pg.Client
let bed: TestBed
let writer: LogWriter
let written = 0
let live: FixturePartition[]
let building: FixturePartition[]

async function startServices(): Promise<void> {
  const { adminUrl } = inject('servers')
  name = `t_${randomBytes(6).toString('hex')}`
  written = 0
  admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create database ${name}`)
  client = new pg.Client({ connectionString: databaseUrl(adminUrl, name) })
  await client.connect()
  bed = await createTestBed({
    partitions: PARTITIONS,
    contractsYaml: 'defaults: { lateness: 24h, windows: [1m, 1h] }',
  })
  writer = await createLogWriter(bed.brokers, bed.topic)
}

async function stopServices(): Promise<void> {
  await writer?.stop()
  await bed?.stop()
  await client?.end()
  await admin.query(`drop database if exists ${name} with (force)`)
  await admin.end()
}

/** Appends events of further ids to the topic. */
async function write(count: number): Promise<WrittenEvent[]> {
  const events = Array.from({ length: count }, (_, i): OracleEvent => {
    const n = written + i
    const key = `k${(n * 7919) % KEYS}`
    const at = start + ((n * 31_337) % (2 * HOUR_MS))
    return { id: `e${n}`, counter: COUNTER, key, delta: (n % 9) - 3, at }
  })
  written += count
  return await writer.write(events)
}

/** Sums that an event of a safe integer cannot have: some leave int4, some int64. */
function deltaOf({ event, offset }: WrittenEvent): bigint {
  if (offset % 97 === 0) return offset % 2 === 0 ? HUGE : -HUGE
  if (offset % 61 === 0) return BigInt(event.delta) * 2n ** 33n
  return BigInt(event.delta)
}

/** Stores events as an aggregator of then would have, with pages written now and then. */
async function store(
  logs: readonly FixturePartition[],
  events: readonly WrittenEvent[],
  round: number,
): Promise<void> {
  for (const log of logs) {
    const own = events.filter(({ partition }) => partition === log.partition)
    if (own.length === 0) continue
    const rows = own.map((one) => ({
      key: one.event.key,
      at: one.event.at,
      delta: deltaOf(one),
    }))
    const clock = start + 2 * HOUR_MS
    const pages = round === 12 ? 'all' : round % 3 === 0 ? 'some' : 'none'
    await log.commit(client, rows, { pages, clock })
  }
}

function expectedTotals(logs: readonly FixturePartition[]): Map<string, bigint> {
  const totals = new Map<string, bigint>()
  for (let k = 0; k < KEYS; k++) {
    const sum = logs.reduce((all, log) => all + log.totalAt(`k${k}`, log.next), 0n)
    totals.set(seriesName(COUNTER, `k${k}`, {}), sum)
  }
  return totals
}

type View = { totals: Map<string, bigint>; windows: Map<string, bigint> }

async function readViews(generation: number): Promise<View> {
  await client.query('select countersink.point_views_at($1)', [generation])
  return { totals: await readTotals(client), windows: await readWindows(client) }
}

async function rowsOf<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
  return (await client.query<Row>(text)).rows
}

async function numberOf(text: string): Promise<number> {
  const [row] = await rowsOf<{ n: string }>(text)
  return Number(row?.n)
}

async function fillEarlierDatabase(layout: PageLayout): Promise<void> {
  await client.query(`select countersink.create_generation(2);
    insert into countersink.generations (generation, state) values (2, 'building')`)
  live = await createFixture(client, 1, COUNTER, PARTITIONS, 0, layout)
  building = await createFixture(client, 2, COUNTER, PARTITIONS, 0, layout)
  for (let round = 0; round < 25; round++) {
    const events = await write(240)
    await store(live, events, round)
    if (round < 14) await store(building, events, round)
  }
  await client.query(
    `update countersink_1.partitions set halted = 'gap', halted_at = now() where partition = $1`,
    [HALTED],
  )
}

const KINDS = [
  ['total_pages_512', 'small_totals', 'totals'],
  ['window_pages_512', 'small_deltas', 'deltas'],
] as const

/** Rows of each representation, and of those that should have a narrower one. */
async function representations(schema: string) {
  const kinds = []
  for (const [table, small, large] of KINDS) {
    const [row] = await rowsOf(
      `select count(${small})::int as smalls, count(carries)::int as wides,
         (count(${large}) - count(carries))::int as larges,
         count(*) filter (where carries is null and ${small} is null and not exists (
           select from unnest(${large}) u (v) where v not between -2147483648 and 2147483647))::int
           as not_small,
         count(*) filter (where not exists (select from unnest(carries) u (v) where v <> 0)
           and carries is not null)::int as not_wide
       from ${schema}.${table}`,
    )
    kinds.push(row)
  }
  return kinds
}

describe.each(LAYOUTS)(
  'from pages of $layout.slots slots',
  ({ layout, migrations, conversions }) => {
    beforeAll(startServices)
    afterAll(stopServices)

    test('I13, I14: pages folded to anywhere become pages of 512 slots of the same sums', async () => {
      await migrateTo(client, migrations)
      await fillEarlierDatabase(layout)
      const nexts = `select count(distinct next) as n from countersink_1.${layout.windows}
      where partition = 0`
      expect(await numberOf(nexts)).toBeGreaterThan(3)
      const behind = 'select count(*) as n from countersink_1.partitions where floor < next'
      expect(await numberOf(behind)).toBe(PARTITIONS)
      const place = 'partition, next, ids_floor, halted, halted_at, read'
      const rowsBefore = await rowsOf(
        `select ${place}, next as floor, null as token, revision + ${conversions} as revision
       from countersink_1.partitions order by partition`,
      )
      const before = [await readViews(2), await readViews(1)]
      expect(before.map(({ totals }) => totals)).toEqual([
        expectedTotals(building),
        expectedTotals(live),
      ])

      await migrate(databaseUrl(inject('servers').adminUrl, name), createLogger('test', 'warn'))
      // The views are those of the live generation already, without being pointed at it.
      expect({ totals: await readTotals(client), windows: await readWindows(client) }).toEqual(
        before[1],
      )
      expect([await readViews(2), await readViews(1)]).toEqual(before)
      const rowsAfter = await rowsOf(
        `select ${place}, floor, token, revision from countersink_1.partitions order by partition`,
      )
      expect(rowsAfter).toEqual(rowsBefore)
      for (const schema of ['countersink_1', 'countersink_2']) {
        const [totals, windows] = await representations(schema)
        const narrow = { not_small: 0, not_wide: 0 }
        expect([totals, windows]).toMatchObject([narrow, narrow])
        // A page of totals has so many sums here that one of them is wide.
        expect(Object.values(windows ?? {}).slice(0, 3)).not.toContain(0)
        expect(totals?.['wides']).toBeGreaterThan(0)
      }
    })

    test('what was written for them finds no table', async () => {
      for (const table of [layout.totals, layout.windows]) {
        const old = client.query(`select from countersink_1.${table}`)
        await expect(old).rejects.toMatchObject({ code: '42P01' })
      }
      const dims = await rowsOf(`select countersink.page_of(${PAGE_SLOTS - 1}) as last,
      countersink.page_of(${PAGE_SLOTS}) as first, countersink.place_of(${PAGE_SLOTS + 5}) as place`)
      expect(dims).toEqual([{ last: 0, first: 1, place: 5 }])
    })

    test('a generation made after it has pages of 512 alone', async () => {
      await client.query('select countersink.create_generation(3)')
      const tables = await rowsOf(
        `select tablename from pg_tables where schemaname = 'countersink_3' and tablename ~ 'pages'
       order by 1`,
      )
      expect(tables).toEqual([{ tablename: 'total_pages_512' }, { tablename: 'window_pages_512' }])
    })

    test('the largest page of int8 stays in its row, uncompressed', async () => {
      const all = `array_fill(-1::bigint, array[${PAGE_SLOTS}])`
      const slots = `array(select n::smallint from generate_series(0, ${PAGE_SLOTS - 1}) n)`
      await client.query(
        `insert into countersink_3.total_pages_512 (counter, partition, page, next, totals)
       select 1, 1, n, 1, ${all} from generate_series(1, 20) n;
       insert into countersink_3.window_pages_512
         (counter, partition, page, size, start, next, slots, deltas)
       select 1, 1, n, 1, 1, 1, ${slots}, ${all} from generate_series(1, 20) n`,
      )
      for (const [table, , large] of KINDS) {
        const rows = await rowsOf(
          `select distinct pg_column_size(${large}) > 8 * ${PAGE_SLOTS} as plain,
           pg_relation_size(c.reltoastrelid)::int as toasted
         from countersink_3.${table}, pg_class c where c.oid = 'countersink_3.${table}'::regclass`,
        )
        expect(rows).toEqual([{ plain: true, toasted: 0 }])
      }
    })

    test('I14: an aggregator goes on with the converted pages and counts exactly', async () => {
      const before = await readViews(1)
      const env = { DATABASE_URL: databaseUrl(inject('servers').adminUrl, name) }
      const aggregator = await bed.startService('aggregator', { env, until: 'alive' })
      const added = [...(await write(1500)), ...(await write(1500))]
      const ends = new Map(added.map(({ partition, offset }) => [partition, offset + 1]))
      await waitFor(
        async () => {
          const rows = await rowsOf<{ partition: number; next: string; floor: string }>(
            'select partition, next, floor from countersink_1.partitions where halted is null',
          )
          // At rest every page is written: those that were converted are read and written again.
          return rows.every(
            ({ partition, next, floor }) =>
              Number(next) === ends.get(partition) && Number(floor) === ends.get(partition),
          )
        },
        { what: 'everything to be counted and in its page' },
      )
      const { totals, windows } = before
      for (const { event, partition } of added) {
        if (partition === HALTED) continue
        const series = seriesName(COUNTER, event.key, {})
        const names = [MINUTE_MS, HOUR_MS].map(
          (ms) => `${series} ${ms} ${event.at - (event.at % ms)}`,
        )
        totals.set(series, (totals.get(series) ?? 0n) + BigInt(event.delta))
        for (const one of names) windows.set(one, (windows.get(one) ?? 0n) + BigInt(event.delta))
      }
      const after = await readViews(1)
      expect(after.totals).toEqual(totals)
      expect(after.windows).toEqual(windows)
      await aggregator.stop()
    })
  },
)
