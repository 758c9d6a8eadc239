import { formatPosition } from '@countersink/shared/position'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFixture, type FixturePartition } from './query-fixture.ts'
import { startPostgresProxy } from './postgres-proxy.ts'
import { ask, keyUrl, positionOf } from './query-client.ts'
import { createTestBed, waitFor, type ServiceHandle, type TestBed } from './stack.ts'

const COUNTER = 'views'
const T0 = Date.UTC(2026, 0, 1)
const WAIT_MS = 1_500

let bed: TestBed
let writer: pg.Client
let partitions: FixturePartition[]
let api: ServiceHandle

beforeEach(async () => {
  bed = await createTestBed({ env: { WAIT_MS_MAX: String(WAIT_MS) } })
  writer = new pg.Client({ connectionString: bed.databaseUrl })
  await writer.connect()
  partitions = await createFixture(writer, 1, COUNTER, 2)
  api = await bed.startService('query-api')
})

afterEach(async () => {
  await writer?.end()
  await bed?.stop()
})

function add(partition: number, key: string, delta: bigint, offsets = 1): Promise<void> {
  return partitions[partition]!.commit(writer, [{ key, at: T0, delta }], { offsets, clock: T0 })
}

function after(next: [number, number][], topic = bed.topic): string {
  const token = formatPosition({ topic, generation: 0, next: new Map(next) })
  return `?after=${encodeURIComponent(token)}`
}

async function total(key: string, query = ''): Promise<unknown> {
  const answer = await ask(`${keyUrl(api.url, COUNTER, key)}${query}`)
  return answer.status === 200 ? answer.body['total'] : answer.status
}

async function metric(name: string): Promise<number> {
  const text = String((await ask(`${api.url}/metrics`)).body['text'])
  const line = text.split('\n').find((one) => one.startsWith(name) && !one.startsWith('#'))
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ')))
}

test('I8: an answer asked for with `after` waits until the write is visible, and no longer', async () => {
  await add(0, 'k', 1n)
  const waiting = total('k', after([[0, 5]]))
  await add(0, 'k', 10n, 2)
  await add(1, 'k', 100n)
  await add(0, 'k', 1000n, 2)
  expect(Number(await waiting)).toBeGreaterThanOrEqual(1011)
  expect(await total('k', after([[0, 5]]))).toBe('1111')

  const began = Date.now()
  const late = await ask(`${keyUrl(api.url, COUNTER, 'k')}${after([[1, 99]])}`)
  expect(late.status).toBe(503)
  expect(late.headers.get('retry-after')).toBe('1')
  expect(Date.now() - began).toBeGreaterThanOrEqual(WAIT_MS - 50)

  const foreign = await ask(`${keyUrl(api.url, COUNTER, 'k')}${after([[0, 1]], 'other')}`)
  expect(foreign).toMatchObject({ status: 400, body: { code: 'position-invalid' } })
  expect(await total('k', '?after=p1.nonsense')).toBe(400)
})

test('a key that appears in a further partition is summed over both, at once', async () => {
  await add(0, 'spread', 1n)
  expect(await total('spread', after([[0, 1]]))).toBe('1')
  await add(1, 'spread', 2n)
  expect(await total('spread', after([[1, 1]]))).toBe('3')
})

test('I8: answers never go back while the connections of the API are cut again and again', async () => {
  let session = 0
  for (let i = 1; i <= 30; i++) {
    await add(0, 'k', 1n)
    if (i % 5 === 0) {
      await bed.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'countersink-query-api%'`,
      )
    }
    const answer = await waitFor(
      async () => {
        const tried = await ask(keyUrl(api.url, COUNTER, 'k'))
        if (tried.status !== 200) throw new Error(`status ${tried.status}`)
        return tried
      },
      { what: 'an answer' },
    )
    const position = positionOf(answer).get(0) ?? 0
    expect(position).toBeGreaterThanOrEqual(session)
    expect(answer.body['total']).toBe(String(position))
    session = position
  }
  expect(await metric('countersink_query_reloads_total{reason="connection"}')).toBeGreaterThan(0)
  expect(await metric('countersink_query_restores_total')).toBe(0)
})

test('a database that is older than before is noticed: everything is loaded again, and it is said', async () => {
  await add(0, 'k', 1n)
  await add(0, 'k', 10n)
  expect(await total('k', after([[0, 2]]))).toBe('11')
  const schema = 'countersink_1'
  await bed.sql(`with d as (delete from ${schema}.window_deltas where first >= 1),
      c as (delete from ${schema}.commits where first >= 1)
    update ${schema}.partitions set next = 1, read = 1, applied = 1 where partition = 0`)
  await waitFor(async () => (await total('k')) === '1', { what: 'the older total' })
  expect(await metric('countersink_query_restores_total')).toBe(1)
  expect(await api.logs()).toContain('older than what was answered')
})

test('I9: an accepted gap is crossed, and told from what was counted', async () => {
  await add(0, 'k', 1n)
  await bed.sql(`with moved as (update countersink_1.partitions set next = 50, floor = 0
      where partition = 0)
    insert into countersink_1.gaps (partition, from_offset, to_offset, reason)
    values (0, 1, 50, 'retention')`)
  partitions[0]!.next = 50
  await add(0, 'k', 10n)
  expect(await total('k', after([[0, 51]]))).toBe('11')
  const outcomes = await ask(`${api.url}/v1/partitions/0/outcomes?from=0&to=99`)
  expect(outcomes.body).toMatchObject({ next: 51, counted: 51, outcomes: [], gaps: [[1, 50]] })
  expect(await metric('countersink_query_reloads_total{reason="gap"}')).toBe(0)
})

test('another generation that becomes live is answered from', async () => {
  await add(0, 'k', 1n)
  expect(await total('k', after([[0, 1]]))).toBe('1')
  await writer.query(
    `insert into countersink.generations (generation, state) values (2, 'building')`,
  )
  await writer.query('select countersink.create_generation(2)')
  const next = await createFixture(writer, 2, COUNTER, 2)
  await next[0]!.commit(writer, [{ key: 'k', at: T0, delta: 5n }], { offsets: 3 })
  await writer.query('begin')
  await writer.query(`update countersink.generations set state = 'retired' where generation = 1`)
  await writer.query(`update countersink.generations set state = 'live' where generation = 2`)
  await writer.query('commit')
  await waitFor(async () => (await total('k')) === '5', { what: 'the new generation' })
  const status = await ask(`${api.url}/v1/status`)
  expect(status.body).toMatchObject({ generation: 2, partitions: expect.arrayContaining([]) })
  expect(await metric('countersink_query_restores_total')).toBe(0)
})

test('a database that counts another topic makes it not ready', async () => {
  await bed.sql(`update countersink.generations set topic = 'another.topic'`)
  const late = await bed.startService('query-api', { until: 'alive' })
  const ready = await waitFor(
    async () => {
      const { status, body } = await ask(`${late.url}/readyz`)
      if (!String(body['detail']).includes('another.topic')) throw new Error('not said yet')
      return status
    },
    { what: 'the reason' },
  )
  expect(ready).toBe(503)
})

test('once it is ready its reads are planned, on open connections: the first ones are sent by name', async () => {
  const proxy = await startPostgresProxy(Number(new URL(bed.databaseUrl).port))
  try {
    const env = { DATABASE_URL: proxy.through(bed.databaseUrl) }
    const { url, stop } = await bed.startService('query-api', { env })
    const planned: string[] = []
    proxy.decide(({ application, text }) => {
      if (application.startsWith('countersink-query-api')) planned.push(text)
      return 'pass'
    })
    await add(0, 'k', 7n)
    const from = `from=${T0 - (T0 % 60_000)}&to=${T0 - (T0 % 60_000) + 60_000}&step=1m`
    const position = after([[0, 1]]).slice(1)
    const answers = await Promise.all([
      ask(`${keyUrl(url, COUNTER, 'k')}?${position}`),
      ask(`${keyUrl(url, COUNTER, 'another')}?${position}`),
      ask(`${keyUrl(url, COUNTER, 'k')}/windows?${from}&${position}`),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(planned).toEqual([])
    await stop()
  } finally {
    await proxy.stop()
  }
})

test('the tail reads each delta once, also in a database that nobody has analyzed', async () => {
  const commits = 400
  for (let i = 0; i < commits; i++) await add(i % 2, `k${i % 7}`, 1n)
  expect(
    await total(
      'k1',
      after([
        [0, commits / 2],
        [1, commits / 2],
      ]),
    ),
  ).not.toBe('0')
  // Backends tell their statistics once a second.
  const fetched = await waitFor(
    async () => {
      const [row] = await bed.sql<{ inserted: string; fetched: string }>(
        `select n_tup_ins as inserted, idx_tup_fetch + seq_tup_read as fetched
         from pg_stat_user_tables where relname = 'window_deltas'`,
      )
      if (Number(row?.inserted) < commits || Number(row?.fetched) < commits) return undefined
      return Number(row?.fetched)
    },
    { what: 'the statistics' },
  )
  expect(fetched).toBeLessThan(4 * commits)
})
