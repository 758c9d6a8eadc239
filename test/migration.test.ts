import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { processEnvironment } from '@countersink/local/config'
import pg from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts'
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
