import { randomBytes } from 'node:crypto'
import { hashKeyOf } from '@countersink/aggregator/core/keyed-hash'
import { createDatabase } from '@countersink/query-api/postgres/database'
import { findSeries } from '@countersink/query-api/postgres/series-query'
import { parseContracts } from '@countersink/shared/contracts'
import { createLogger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { BEFORE_RUNS, migrateTo } from './earlier-database.ts'
import { type CommitPlan, PartitionDriver } from './partition-driver.ts'
import { readRuns, type StoredName } from './series-runs.ts'
import { databaseUrl } from './servers.ts'
import { createTestBed, waitFor } from './stack.ts'

/* A database from before names stood in runs, with two generations, breakdowns and strange keys. */

/** More in a partition than one commit gives filters to. */
const SERIES = 150_000
const PARTITIONS = 2
const STRANGE = ['"', '\\', '{a,b}', 'NULL', '\u{1f600}', '\uffee', 'x'.repeat(1024)]

const name = `t_${randomBytes(6).toString('hex')}`
let admin: pg.Client
let client: pg.Client
let before: [Map<string, StoredName[]>, Map<string, StoredName[]>]

beforeAll(async () => {
  const { adminUrl } = inject('servers')
  admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create database ${name}`)
  client = new pg.Client({ connectionString: databaseUrl(adminUrl, name) })
  await client.connect()
  await migrateTo(client, BEFORE_RUNS)
  await client.query(`select countersink.create_generation(2);
    insert into countersink.generations (generation, state) values (2, 'building')`)
  for (const schema of ['countersink_1', 'countersink_2']) await fill(schema)
  before = [await oldNames('countersink_1'), await oldNames('countersink_2')]
})

afterAll(async () => {
  await client?.end()
  await admin.query(`drop database if exists ${name} with (force)`)
  await admin.end()
})

async function fill(schema: string): Promise<void> {
  await client.query(`insert into ${schema}.counters (name) values ('views'), ('likes');
    insert into ${schema}.partitions (partition, start, next, floor, ids_floor, token)
      select p, 0, 0, 0, 0, gen_random_uuid() from generate_series(0, ${PARTITIONS - 1}) p;
    insert into ${schema}.partition_counters (partition, counter, ordinal, clock)
      values (0, 1, 0, 0), (1, 1, 0, 0), (1, 2, 1, 0)`)
  // Every tenth key has a breakdown beside its total, and one key has thousands.
  await client.query(
    `insert into ${schema}.series (counter, partition, slot, key, dims)
     select 1, i % $1, i / $1,
       case when i % 20 < 2 then 'one of many' else 'k' || (i / 2 - i / 20) * 7919 % 99999 end
         || case when i % 10 = 3 then '' else '-' || i end,
       case when i % 10 = 5 then jsonb_build_object('country', 'de', 'n', i::text) else '{}' end
     from generate_series(0, $2 - 1) i`,
    [PARTITIONS, SERIES],
  )
  await client.query(
    `insert into ${schema}.series (counter, partition, slot, key)
     select 2, 1, i - 1, key from unnest($1::text[]) with ordinality u (key, i)`,
    [STRANGE],
  )
}

async function oldNames(schema: string): Promise<Map<string, StoredName[]>> {
  const { rows } = await client.query<StoredName & { place: string }>(
    `select c.name || '/' || s.partition as place, s.key, s.dims
     from ${schema}.series s join ${schema}.counters c using (counter)
     order by place, s.slot`,
  )
  const names = new Map<string, StoredName[]>()
  for (const { place, key, dims } of rows) {
    const own = names.get(place) ?? []
    own.push({ key, dims })
    names.set(place, own)
  }
  return names
}

test('I1: names one in a row become sorted runs of the same names and slots, in every generation', async () => {
  await client.query(
    'create role reader_of_views; grant select on countersink.totals to reader_of_views',
  )
  try {
    await migrate(databaseUrl(inject('servers').adminUrl, name), createLogger('test', 'warn'))
    for (const [i, schema] of ['countersink_1', 'countersink_2'].entries()) {
      const { names, flaws, sizes } = await readRuns(client, schema, ['views', 'likes'], {
        filtered: false,
      })
      expect(flaws).toEqual([])
      expect(names).toEqual(before[i])
      expect(sizes.get('views/0')).toEqual([32_768, 32_768, SERIES / PARTITIONS - 65_536])
      // The view that is left in the table's place.
      expect(await oldNames(schema)).toEqual(before[i])
    }
    const { rows } = await client.query(
      `select count(token)::int as tokens, min(revision)::int as revision,
         has_table_privilege('reader_of_views', 'countersink.totals', 'select') as granted,
         (select count(*)::int from countersink.totals) as totals
       from countersink_1.partitions`,
    )
    const names = [...before[0].values()].flat().map(({ key, dims }) => JSON.stringify([key, dims]))
    expect(rows).toEqual([{ tokens: 0, revision: 1, granted: true, totals: new Set(names).size }])
  } finally {
    await client.query('drop owned by reader_of_views; drop role reader_of_views')
  }
})

const CONTRACTS = parseContracts('')
const COMMIT: CommitPlan = { picks: [], cachedMax: 1000, fails: false }

async function unfiltered(partition: number): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from countersink_1.series_runs
     where partition = $1 and block = 0 and filter is null`,
    [partition],
  )
  return rows[0]!.count
}

/** Where series are that there are, in one partition or both, and some that there are not. */
async function findSome(url: string): Promise<unknown> {
  const database = createDatabase(url, createLogger('test', 'warn'))
  try {
    const stored = [...before[0].values()].flat().filter((_, i) => i % 1999 === 0)
    const dims = ({ dims }: StoredName): string => JSON.stringify(dims)
    const asked = stored.map((one) => ({ counter: 1, key: one.key, dims: dims(one) }))
    const absent = asked.map((one) => ({ ...one, key: `no ${one.key}` }))
    return await findSeries(database, 1, [...asked, ...absent])
  } finally {
    await database.stop()
  }
}

test('I3, I12: runs of a migration get filters from their owner, so many a commit, through a failure, a take-over and at rest', async () => {
  const url = databaseUrl(inject('servers').adminUrl, name)
  const writer = new pg.Client({ connectionString: url, pipeline: true })
  await writer.connect()
  const found = await findSome(url)
  const owner = (partition: number): PartitionDriver => {
    const hashKey = hashKeyOf(Buffer.from('0123456789abcdef'))
    return new PartitionDriver({ client, writer, schema: 'countersink_1', partition, hashKey })
  }
  try {
    const [one, next] = [owner(0), owner(0)]
    await one.claim(CONTRACTS)
    await one.commit({ ...COMMIT, fails: true })
    expect(await unfiltered(0)).toBe(1)
    await next.claim(CONTRACTS)
    expect(await one.commit(COMMIT)).toMatchObject({ fenced: [{}] })
    expect(await unfiltered(0)).toBe(1)
    await next.commit(COMMIT)
    expect(await unfiltered(0)).toBe(0)
    expect(await findSome(url)).toEqual(found)
  } finally {
    await writer.end()
  }
  expect(await unfiltered(1)).toBe(4)
  const bed = await createTestBed({ partitions: PARTITIONS, env: { DATABASE_URL: url } })
  try {
    // Nothing is ever written to this topic.
    await bed.startService('aggregator')
    await waitFor(async () => (await unfiltered(1)) === 0, { what: 'filters of all runs' })
  } finally {
    await bed.stop()
  }
  const { names, flaws } = await readRuns(client, 'countersink_1', ['views', 'likes'])
  expect(flaws).toEqual([])
  expect(names).toEqual(before[0])
  expect(await findSome(url)).toEqual(found)
})

test('what was written for the table cannot write, and a later generation has runs alone', async () => {
  const old = client.query(
    `insert into countersink_1.series (counter, partition, slot, key) values (1, 0, 9e6, 'k')`,
  )
  await expect(old).rejects.toMatchObject({ code: '55000' })
  await client.query('select countersink.create_generation(3)')
  const { rows } = await client.query(
    `select relname, relkind from pg_class c join pg_namespace n on n.oid = relnamespace
     where nspname = 'countersink_3' and relname ~ '^series' and relkind in ('r', 'v') order by 1`,
  )
  expect(rows).toEqual([
    { relname: 'series', relkind: 'v' },
    { relname: 'series_runs', relkind: 'r' },
  ])
})
