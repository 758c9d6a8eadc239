import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFixture } from './query-fixture.ts'
import { ask, keyUrl } from './query-client.ts'
import { createTestBed, ownServers, waitFor, type OwnServers, type TestBed } from './stack.ts'

const T0 = Date.UTC(2026, 0, 1)

let servers: OwnServers
let bed: TestBed

beforeAll(async () => {
  servers = await ownServers()
  bed = await createTestBed({ servers, env: { WAIT_MS_MAX: '1000' } })
})

afterAll(async () => {
  await bed?.stop()
  await servers?.stop()
})

test('F8: without Postgres it is not ready and answers 503, and afterwards the same as before', async () => {
  const writer = new pg.Client({ connectionString: bed.databaseUrl })
  await writer.connect()
  const [partition] = await createFixture(writer, 1, 'views', 1)
  await partition!.commit(writer, [{ key: 'k', at: T0, delta: 7n }])
  await writer.end()
  const api = await bed.startService('query-api')
  const key = keyUrl(api.url, 'views', 'k')
  expect((await ask(key)).body).toMatchObject({ total: '7' })

  await servers.postgres.kill()
  await waitFor(async () => (await ask(`${api.url}/readyz`)).status === 503, { what: 'not ready' })
  const away = await ask(key)
  expect(away.status).toBe(503)
  expect(away.headers.get('retry-after')).toBe('1')
  expect((await ask(`${api.url}/healthz`)).status).toBe(200)

  await servers.postgres.start()
  await waitFor(async () => (await ask(key)).body['total'] === '7', { what: 'the total again' })
  expect((await ask(`${api.url}/readyz`)).status).toBe(200)
})

test('F30: SIGTERM ends it cleanly', async () => {
  const api = await bed.startService('query-api')
  const ended = api.ended()
  await api.kill('SIGTERM')
  expect(await ended).toBe('code 0')
})
