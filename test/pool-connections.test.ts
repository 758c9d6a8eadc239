import { createLogger } from '@countersink/shared/log'
import { createPool } from '@countersink/shared/postgres/pool'
import { afterAll, expect, inject, test } from 'vitest'
import { waitFor } from './stack.ts'

const options = {
  databaseUrl: inject('servers').adminUrl,
  applicationName: 'pool-test',
  connectionsMax: 2,
  statementTimeoutMs: 5000,
  logger: createLogger('test', 'silent'),
}
const pool = createPool(options)
afterAll(() => pool.end())

test('F7: a connection that the server ends between two queries of its user ends nothing else', async () => {
  const client = await pool.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid])
  // Nobody queries on it when it breaks: that is when it would end the process.
  await waitFor(
    async () => {
      const alive = await pool.query('select from pg_stat_activity where pid = $1', [rows[0]?.pid])
      return alive.rowCount === 0
    },
    { what: 'the connection to be gone', timeoutMs: 5000 },
  )
  const failed: unknown = await client.query('select 1').catch((error: unknown) => error)
  expect(failed).toBeInstanceOf(Error)
  client.release(true)
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('a transaction in which nothing happens is ended after its bound', async () => {
  const impatient = createPool({ ...options, idleInTransactionTimeoutMs: 50 })
  const client = await impatient.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  await client.query('begin')
  await waitFor(
    async () => {
      const alive = await pool.query('select from pg_stat_activity where pid = $1', [rows[0]?.pid])
      return alive.rowCount === 0
    },
    { what: 'the connection to be gone', timeoutMs: 5000 },
  )
  await expect(client.query('commit')).rejects.toThrow()
  client.release(true)
  await impatient.end()
})

test('what stands in the URL of a database does not replace the settings that we rely on', async () => {
  const databaseUrl = `${options.databaseUrl}?application_name=theirs&statement_timeout=1&options=-c%20enable_seqscan%3Don%20-c%20geqo%3Doff`
  const told = createPool({ ...options, databaseUrl, settings: ['enable_seqscan=off', 'jit=off'] })
  const names = ['application_name', 'statement_timeout', 'enable_seqscan', 'jit', 'geqo']
  const { rows } = await told.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings where name = any($1)`,
    [names],
  )
  await told.end()
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    application_name: 'pool-test',
    statement_timeout: '5000',
    enable_seqscan: 'off',
    jit: 'off',
    geqo: 'off',
  })
})
