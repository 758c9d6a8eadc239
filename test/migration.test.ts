import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { processEnvironment } from '@countersink/local/config'
import pg from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { BEFORE_RUNS, migrateTo } from './earlier-database.ts'
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts'
import { createFixture } from './query-fixture.ts'
import { databaseUrl } from './servers.ts'
import { waitFor } from './stack.ts'

const MIGRATOR = fileURLToPath(new URL('migrator.ts', import.meta.url))
const MIGRATORS = 6

const name = `t_${randomBytes(6).toString('hex')}`
let admin: pg.Client
let proxy: PostgresProxy

beforeEach(async () => {
  const { adminUrl } = inject('servers')
  admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create database ${name}`)
  proxy = await startPostgresProxy(Number(new URL(adminUrl).port))
})

afterEach(async () => {
  await proxy.stop()
  await admin.query(`drop database ${name} with (force)`)
  await admin.end()
})

function startMigrator(url: string): ChildProcess {
  const env = processEnvironment()
  return spawn(process.execPath, [MIGRATOR, url], { stdio: ['ignore', 'inherit', 'inherit'], env })
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

async function withDatabase<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl(inject('servers').adminUrl, name) })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function schemas(): Promise<string[]> {
  const { rows } = await withDatabase((client) =>
    client.query<{ nspname: string }>(
      `select nspname from pg_namespace where nspname like 'countersink%' order by 1`,
    ),
  )
  return rows.map(({ nspname }) => nspname)
}

/** Sessions of the test database, other than the one that asks. */
async function sessions(): Promise<number> {
  const { rowCount } = await admin.query('select from pg_stat_activity where datname = $1', [name])
  return rowCount ?? 0
}

test('F31: killed in mid-migration nothing is half made, and of many migrators one wins', async () => {
  const direct = databaseUrl(inject('servers').adminUrl, name)
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  proxy.decide(({ text }) => {
    if (!text.includes('create_generation')) return 'pass'
    resolve()
    return 'hold'
  })
  const victim = startMigrator(proxy.through(direct))
  const gone = exitCode(victim)
  await reached
  victim.kill('SIGKILL')
  await gone
  await waitFor(async () => (await sessions()) === 0, { what: 'its session to end' })
  expect(await schemas()).toEqual([])

  proxy.decide(undefined)
  const migrators = Array.from({ length: MIGRATORS }, () => startMigrator(direct))
  expect(await Promise.all(migrators.map(exitCode))).toEqual(migrators.map(() => 0))
  expect(await schemas()).toEqual(['countersink', 'countersink_1'])
  const applied = await withDatabase(async (client) => {
    const { rows } = await client.query<{ n: number }>(
      'select count(*)::int as n from countersink_migrations group by name',
    )
    return rows.map(({ n }) => n)
  })
  expect(new Set(applied)).toEqual(new Set([1]))
})

test('what was counted before sums stood as int4 is read beside what is counted after', async () => {
  const direct = databaseUrl(inject('servers').adminUrl, name)
  const at = Date.UTC(2026, 0, 1)
  await withDatabase(async (client) => {
    await migrateTo(client, BEFORE_RUNS.slice(0, 1))
    await client.query(
      `insert into countersink_1.counters (name) values ('views');
       insert into countersink_1.window_sizes (counter, size) values (1, 60000);
       insert into countersink_1.partitions (partition, start, next, floor, ids_floor)
         values (0, 0, 8, 4, 0);
       insert into countersink_1.series (counter, partition, slot, key) values (1, 0, 0, 'old');
       insert into countersink_1.total_pages (counter, partition, page, next, totals)
         values (1, 0, 0, 4, array_fill(5::bigint, array[128]));
       insert into countersink_1.window_deltas (partition, first, counter, start, slots, deltas)
         values (0, 4, 1, ${at}, '{0}', '{7}')`,
    )
  })
  expect(await exitCode(startMigrator(direct))).toBe(0)
  await withDatabase(async (client) => {
    const [later] = await createFixture(client, 1, 'likes', 1, 1)
    for (let i = 0; i < 20; i++) {
      await later?.commit(client, [{ key: 'new', at, delta: 1n }], {
        pages: i < 10 ? 'all' : 'none',
      })
    }
    const { rows } = await client.query<{ key: string; total: string }>(
      'select key, total from countersink.totals order by key',
    )
    expect(rows).toEqual([
      { key: 'new', total: '20' },
      { key: 'old', total: '12' },
    ])
    await client.query('select countersink.create_generation(2)')
  })
})

test('names move into runs beside a commit under way, and beside who reads', async () => {
  const direct = databaseUrl(inject('servers').adminUrl, name)
  const names = 150_000
  await withDatabase(async (client) => {
    await migrateTo(client, BEFORE_RUNS)
    await client.query(
      `insert into countersink_1.counters (name) values ('views');
       insert into countersink_1.partitions (partition, start, next, floor, ids_floor)
         values (0, 0, 8, 8, 0);
       insert into countersink_1.series (counter, partition, slot, key)
         select 1, 0, n, md5(n::text) from generate_series(0, ${names - 1}) n`,
    )
  })
  const commit = withDatabase(async (client) => {
    await client.query('begin; update countersink_1.partitions set next = 9, floor = 9')
    await sleep(1000)
    await client.query(
      `insert into countersink_1.series (counter, partition, slot, key)
         values (1, 0, ${names}, 'last'); commit`,
    )
  })
  let isMigrated = false
  const counts = new Set<number>()
  const reading = async (from: string): Promise<void> => {
    while (!isMigrated) {
      await withDatabase(async (client) => {
        const { rows } = await client.query<{ n: number }>(
          `select count(*)::int as n, min(key) from ${from}`,
        )
        counts.add(rows[0]?.n ?? 0)
      })
    }
  }
  const readers = ['countersink.totals', 'countersink_1.series', 'countersink.totals'].map(reading)
  await sleep(200)
  const code = await exitCode(startMigrator(direct))
  isMigrated = true
  await Promise.all([commit, ...readers])
  expect(code).toBe(0)
  expect(counts).toEqual(new Set([names, names + 1]))
  const stored = await withDatabase(async (client) => {
    const { rows } = await client.query<{ keys: number; slots: number; last: number }>(
      `select count(distinct key)::int as keys, count(distinct slot)::int as slots,
         max(slot) filter (where key = 'last') as last
       from countersink_1.series where key = 'last' or key = md5(slot::text)`,
    )
    return rows[0]
  })
  expect(stored).toEqual({ keys: names + 1, slots: names + 1, last: names })
}, 120_000)
