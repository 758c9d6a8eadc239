import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { type PostgresProxy, type StatementFate, startPostgresProxy } from './postgres-proxy.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

const DEADLOCK_TRIES_MAX = 20
const WRITER = 'countersink-aggregator-writer'
const ROUNDS = 5

let bed: CountedBed
let proxy: PostgresProxy
let aggregator: ServiceHandle

beforeEach(async () => {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }
  bed = await createCountedBed({ partitions: 4, env })
  proxy = await startPostgresProxy(Number(new URL(bed.databaseUrl).port))
})

afterEach(async () => {
  await bed.stop()
  await proxy.stop()
})

async function startAggregator(): Promise<void> {
  const env = { DATABASE_URL: proxy.through(bed.databaseUrl) }
  aggregator = await bed.startService('aggregator', { env, until: 'alive' })
}

/** Strikes at the next COMMIT of the writing connection, once; resolves when it has been struck. */
async function strikeCommit(fate: StatementFate): Promise<void> {
  const { promise: struck, resolve } = Promise.withResolvers<void>()
  proxy.decide(({ application, text }) => {
    if (application !== WRITER || text.toLowerCase() !== 'commit') return 'pass'
    proxy.decide(undefined)
    resolve()
    return fate
  })
  await bed.write(500)
  await struck
}

async function expectCountedOnce(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
}

async function strikeAgainAndAgain(fate: StatementFate): Promise<void> {
  await startAggregator()
  await bed.write(1000)
  await bed.tally.settled()
  for (let round = 0; round < ROUNDS; round++) {
    await strikeCommit(fate)
    await bed.write(500)
    await bed.tally.settled()
  }
  await expectCountedOnce()
}

test('F4, I4: the server commits and its answer is swallowed: counted once', async () => {
  await strikeAgainAndAgain('swallow-answer')
  // Read back and found applied: nobody took it for somebody else's commit.
  expect(await aggregator.logs()).not.toContain('its state is dropped')
})

test('F5, I3: the connection is cut before COMMIT: rolled back, tried again, counted once', async () => {
  await strikeAgainAndAgain('cut')
  expect(await aggregator.logs()).not.toContain('its state is dropped')
})

test('F6, I3: an error inside the transaction is swallowed and COMMIT is answered by ROLLBACK', async () => {
  await strikeAgainAndAgain('fail-before')
  expect(await aggregator.logs()).toContain('COMMIT was answered by ROLLBACK')
})

const KILL_POINTS: { when: string; statement: RegExp; fate: StatementFate }[] = [
  { when: 'before BEGIN', statement: /^begin/, fate: 'cut' },
  { when: 'in mid-statement', statement: /insert into countersink_1.window_deltas/, fate: 'hold' },
  { when: 'before COMMIT', statement: /^commit$/, fate: 'cut' },
  { when: 'after COMMIT', statement: /^commit$/, fate: 'hold' },
]

test.each(KILL_POINTS)('F1, I3: killed $when: counted once', async ({ statement, fate }) => {
  for (let life = 0; life < 3; life++) {
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    const { promise: killed, resolve: release } = Promise.withResolvers<void>()
    // The first commit of a life, since only then all statements are sent with their text.
    proxy.decide(({ application, text }) => {
      if (application !== WRITER || !statement.test(text)) return 'pass'
      proxy.decide(undefined)
      resolve()
      // What is cut must be cut by the kill: until then the statement waits.
      return fate === 'cut' ? killed.then(() => fate) : fate
    })
    await bed.write(500)
    await (life === 0 ? startAggregator() : aggregator.start())
    await reached
    await aggregator.kill()
    release()
  }
  await aggregator.start()
  await expectCountedOnce()
})

test('I3: a BEGIN that fails takes everything that was sent behind it along: nothing is lost', async () => {
  await startAggregator()
  await bed.write(1000)
  await bed.tally.settled()
  for (let round = 0; round < 3; round++) {
    const { promise: struck, resolve } = Promise.withResolvers<void>()
    proxy.decide(({ application, text }) => {
      if (application !== WRITER || !text.startsWith('begin')) return 'pass'
      proxy.decide(undefined)
      resolve()
      return 'fail'
    })
    await bed.write(500)
    await struck
    await bed.tally.settled()
  }
  await expectCountedOnce()
})

test('F7, I4: connections terminated at random by the server: counted once', async () => {
  await startAggregator()
  let terminated = 0
  for (let round = 0; round < 40; round++) {
    const before = await bed.tally.position()
    await bed.write(300)
    const rows = await bed.sql<{ done: boolean }>(
      `select pg_terminate_backend(pid) as done from pg_stat_activity
       where datname = current_database() and application_name like 'countersink-aggregator%'
         and random() < 0.5`,
    )
    terminated += rows.length
    await waitFor(async () => (await bed.tally.position()) > before, { what: 'progress' })
  }
  expect(terminated).toBeGreaterThan(10)
  await expectCountedOnce()
})

test('F10: a deadlock (40P01) with another session: the whole transaction is tried again', async () => {
  // The aggregator is to find the deadlock first, and so to be the one that gives way.
  await bed.sql(`do $$ begin
    execute format('alter database %I set deadlock_timeout = 2000', current_database());
  end $$`)
  await startAggregator()
  await bed.write(1000)
  await bed.tally.settled()
  // A commit of the last partition alone holds no row that another one could wait for.
  for (let tries = 1; !(await aggregator.logs()).includes('deadlock detected'); tries++) {
    expect(tries).toBeLessThanOrEqual(DEADLOCK_TRIES_MAX)
    await meetInDeadlock()
  }
  await expectCountedOnce()
})

/** Waits for the rows that a commit has locked, while it waits for ours. */
async function meetInDeadlock(): Promise<void> {
  const other = new pg.Client({ connectionString: bed.databaseUrl })
  await other.connect()
  try {
    await other.query(`set deadlock_timeout = '60s'`)
    await other.query('begin')
    const lock = 'select from countersink_1.partitions where partition = $1 for update'
    const [last] = await lockOrder()
    await other.query(lock, [last])
    await bed.write(1000)
    await waitFor(isWriterWaiting, { what: 'the commit to wait for the lock' })
    for (const partition of [0, 1, 2, 3])
      if (partition !== last) await other.query(lock, [partition])
    await other.query('rollback')
  } finally {
    await other.end()
  }
  await bed.tally.settled()
}

/** The partition that a commit's compare-and-set reaches last: the others are locked by then. */
async function lockOrder(): Promise<[number]> {
  const rows = await bed.sql<{ partition: number }>(
    'select partition from countersink_1.partitions order by ctid desc limit 1',
  )
  return [rows[0]?.partition ?? 3]
}

async function isWriterWaiting(): Promise<boolean> {
  const rows = await bed.sql(
    `select from pg_stat_activity where datname = current_database()
     and application_name = $1 and wait_event_type = 'Lock'`,
    [WRITER],
  )
  return rows.length > 0
}

test('F10: a serialization failure (40001): the whole transaction is tried again', async () => {
  await bed.sql(`do $$ begin
    execute format('alter database %I set default_transaction_isolation = %L',
      current_database(), 'repeatable read');
  end $$`)
  await startAggregator()
  await bed.write(1000)
  await bed.tally.settled()
  const other = new pg.Client({ connectionString: bed.databaseUrl })
  await other.connect()
  try {
    for (let round = 0; round < 3; round++) {
      await other.query('begin')
      await other.query('update countersink_1.partitions set seen_at = now()')
      await bed.write(500)
      await waitFor(isWriterWaiting, { what: 'the commit to wait for the rows' })
      await other.query('commit')
      await bed.tally.settled()
    }
  } finally {
    await other.end()
  }
  await expectCountedOnce()
  expect(await aggregator.logs()).toContain('could not serialize access')
})
