import { createKafkaProducer } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { OutcomeWriter } from '@countersink/shared/outcomes'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFixture, type FixturePartition } from './query-fixture.ts'
import { ask, keyUrl, post } from './query-client.ts'
import { createTestBed, waitFor, type ServiceHandle, type TestBed } from './stack.ts'

const COUNTER = 'views'
const T0 = Date.UTC(2026, 0, 1)
const MINUTE = 60_000
const STRANGE_KEYS = [
  '__proto__',
  'constructor',
  'a/b?c=d&e#f%20',
  ' spaces kept ',
  'caf\u00e9',
  'cafe\u0301',
  "'; drop table series; --",
  '\u202eabc',
  '=1+1',
  '..',
  '😀'.repeat(200),
]

let bed: TestBed
let writer: pg.Client
let partitions: FixturePartition[]
let api: ServiceHandle

beforeAll(async () => {
  bed = await createTestBed({ partitions: 2 })
  writer = new pg.Client({ connectionString: bed.databaseUrl })
  await writer.connect()
  partitions = await createFixture(writer, 1, COUNTER, 2)
  const [zero, one] = partitions
  const at = (minute: number, delta: bigint) => ({ key: 'k', at: T0 + minute * MINUTE, delta })
  await zero!.commit(writer, [at(0, 5n), at(1, -2n), at(61, 7n)], { clock: T0 + 61 * MINUTE })
  await one!.commit(writer, [at(0, 2n ** 63n - 1n), at(2, 2n ** 63n - 1n)], { clock: T0 })
  await zero!.commit(
    writer,
    STRANGE_KEYS.map((key, i) => ({ key, at: T0, delta: BigInt(i + 1) })),
    { pages: 'all', clock: T0 + 61 * MINUTE },
  )
  await one!.commit(writer, [
    { key: 'k', dims: { country: 'de' }, at: T0, delta: 3n },
    { key: 'k', dims: { country: 'fr', plan: 'x' }, at: T0, delta: 4n },
    { key: 'k', dims: { ['__proto__']: '' }, at: T0, delta: 6n },
  ])
  api = await bed.startService('query-api')
})

afterAll(async () => {
  await writer?.end()
  await bed?.stop()
})

function get(path: string, init?: RequestInit) {
  return ask(`${api.url}${path}`, init)
}

test('a total: a sum past int64, exactly, with how fresh it is', async () => {
  const { status, body } = await ask(keyUrl(api.url, COUNTER, 'k'))
  expect(status).toBe(200)
  expect(body).toMatchObject({ counter: COUNTER, key: 'k', total: String(2n ** 64n - 2n + 10n) })
  expect(body).not.toHaveProperty('dims')
  expect(body['position']).toEqual(expect.stringMatching(/^p1\./))
  // Nothing is in the topic, so everything is counted, and the clocks are taken to be now less the skew.
  expect(body['lagMs']).toBe(0)
  expect(Date.now() - Date.parse(String(body['asOf']))).toBeLessThan(6 * MINUTE)
})

test('every strange key is found by exactly its own spelling', async () => {
  for (const [i, key] of STRANGE_KEYS.entries()) {
    // WHATWG URLs eat dots, whoever they belong to.
    if (key === '..') continue
    const { body } = await ask(keyUrl(api.url, COUNTER, key))
    expect(body).toMatchObject({ key, total: String(i + 1) })
  }
  const batch = await post(
    `${api.url}/v1/totals`,
    STRANGE_KEYS.map((key) => ({ counter: COUNTER, key })),
  )
  expect(batch.body['totals']).toEqual(
    STRANGE_KEYS.map((key, i) => ({ counter: COUNTER, key, total: String(i + 1) })),
  )
})

test('a breakdown is another series than the total', async () => {
  const de = await get('/v1/counters/views/keys/k?dims.country=de')
  expect(de.body).toMatchObject({ dims: { country: 'de' }, total: '3' })
  const two = await get('/v1/counters/views/keys/k?dims.plan=x&dims.country=fr')
  expect(two.body).toMatchObject({ dims: { country: 'fr', plan: 'x' }, total: '4' })
  expect((await get('/v1/counters/views/keys/k?dims.country=fr')).body['total']).toBe('0')
  expect((await get('/v1/counters/views/keys/k?dims.__proto__=')).body['total']).toBe('6')
})

test('a key never seen counts 0; a counter never seen is unknown', async () => {
  expect((await get('/v1/counters/views/keys/never')).body).toMatchObject({ total: '0' })
  const unknown = await get('/v1/counters/vievs/keys/k')
  expect(unknown).toMatchObject({ status: 404, body: { code: 'unknown-counter' } })
  expect(unknown.headers.get('content-type')).toContain('application/problem+json')
  const batch = await post(`${api.url}/v1/totals`, [
    { counter: 'vievs', key: 'k' },
    { counter: 'views', key: 'k', dims: { country: 'de' } },
  ])
  expect(batch.body['totals']).toEqual([
    { counter: 'vievs', key: 'k', total: null },
    { counter: 'views', key: 'k', dims: { country: 'de' }, total: '3' },
  ])
})

test('windows without holes, at any multiple of a kept size', async () => {
  const range = `from=${T0 - MINUTE}&to=${T0 + 3 * MINUTE}`
  const { body } = await get(`/v1/counters/views/keys/k/windows?${range}&step=1m`)
  expect(body).toMatchObject({
    from: '2025-12-31T23:59:00Z',
    to: '2026-01-01T00:03:00Z',
    step: '1m',
    windows: [
      { start: '2025-12-31T23:59:00Z', end: '2026-01-01T00:00:00Z', delta: '0' },
      { start: '2026-01-01T00:00:00Z', delta: String(2n ** 63n + 4n) },
      { start: '2026-01-01T00:01:00Z', delta: '-2' },
      { start: '2026-01-01T00:02:00Z', delta: String(2n ** 63n - 1n) },
    ],
  })
  const hours = 'from=2026-01-01T00:00:00Z&to=2026-01-01T03:00:00%2B01:00&step=1h'
  const byHour = await get(`/v1/counters/views/keys/k/windows?${hours}`)
  expect((byHour.body['windows'] as { delta: string }[]).map(({ delta }) => delta)).toEqual([
    String(2n ** 64n + 1n),
    '7',
  ])
  const quarters = await get(`/v1/counters/views/keys/k/windows?${range}&step=3m`)
  expect(quarters.body['windows']).toMatchObject([{ delta: String(2n ** 64n + 1n) }])
})

test('a window is final once the clock has passed its end and the lateness', async () => {
  const old = await get(`/v1/counters/views/keys/k/windows?from=${T0}&to=${T0 + MINUTE}`)
  expect(old.body['windows']).toMatchObject([{ state: 'final' }])
  const recent = await get('/v1/counters/views/keys/k/windows?step=1m')
  const windows = recent.body['windows'] as { state: string; end: string }[]
  expect(windows).toHaveLength(60)
  expect(new Set(windows.map(({ state }) => state))).toEqual(new Set(['provisional']))
  expect(Date.parse(windows.at(-1)!.end)).toBeGreaterThan(Date.now() - MINUTE)
})

test('counters and keys are listed page by page, and a cursor of ours is the only one', async () => {
  expect((await get('/v1/counters')).body).toMatchObject({
    counters: [{ counter: COUNTER, windows: ['1m', '1h'] }],
    cursor: null,
  })
  const listed: string[] = []
  let cursor = ''
  do {
    const page = await get(`/v1/counters/views/keys?limit=3${cursor}`)
    expect((page.body['keys'] as string[]).length).toBeLessThanOrEqual(3)
    listed.push(...(page.body['keys'] as string[]))
    const next = page.body['cursor']
    cursor = typeof next === 'string' ? `&cursor=${next}` : ''
  } while (cursor !== '')
  const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
  expect(listed).toEqual([...STRANGE_KEYS, 'k'].toSorted(byBytes))

  const cafe = await get(`/v1/counters/views/keys?prefix=${encodeURIComponent('caf\u00e9')}`)
  expect(cafe.body['keys']).toEqual(['caf\u00e9'])
  expect((await get('/v1/counters/views/keys?prefix=%25')).body['keys']).toEqual([])
  const first = String((await get('/v1/counters/views/keys?limit=1')).body['cursor'])
  for (const forged of [first.slice(1), `${first}A`, 'abc', '']) {
    expect((await get(`/v1/counters/views/keys?cursor=${forged}`)).status).toBe(400)
  }
  expect((await get(`/v1/counters/views/keys?prefix=c&cursor=${first}`)).status).toBe(400)
})

test.each([
  '/v1/counters/views/keys?limit=0',
  '/v1/counters/views/keys?limit=1e9',
  '/v1/counters/views/keys?limit=1000000000',
  '/v1/counters/views/keys/%00',
  '/v1/counters/views/keys/%ff',
  `/v1/counters/views/keys/${'x'.repeat(1025)}`,
  `/v1/counters/${'c'.repeat(129)}/keys/k`,
  '/v1/counters/views/keys/k?after=',
  '/v1/counters/views/keys/k?aftr=x',
  '/v1/counters/views/keys/k?dims.a=1&dims.a=2',
  '/v1/counters/views/keys/k?dims.=1',
  '/v1/counters/views/keys/k/windows?from=2&to=1',
  '/v1/counters/views/keys/k/windows?from=0&to=315360000000&step=1m',
  '/v1/counters/views/keys/k/windows?step=1ms',
  '/v1/counters/views/keys/k/windows?step=90s',
  '/v1/counters/views/keys/k/windows?tz=Europe/Berlin',
  '/v1/counters/views/keys/k/windows?from=NaN',
  '/v1/partitions/0/outcomes?from=-1&to=3',
  '/v1/partitions/0/outcomes?from=0',
])('%s is refused with a Problem', async (path) => {
  const { status, body, headers } = await get(path)
  expect({ path, status, code: body['code'] }).toMatchObject({ status: 400 })
  expect(headers.get('content-type')).toContain('application/problem+json')
  expect(body['detail']).toEqual(expect.any(String))
})

test.each([
  ['not a list', { counter: 'views', key: 'k' }],
  ['no key', [{ counter: 'views' }]],
  ['a number as key', [{ counter: 'views', key: 5 }]],
  ['a field that is none', [{ counter: 'views', key: 'k', dim: {} }]],
  ['dims that are no strings', [{ counter: 'views', key: 'k', dims: { a: 1 } }]],
  ['too many', Array.from({ length: 1001 }, () => ({ counter: 'views', key: 'k' }))],
])('a batch with %s is refused', async (_what, body) => {
  expect((await post(`${api.url}/v1/totals`, body)).status).toBe(400)
})

test('other paths and methods', async () => {
  expect((await get('/v1/nothing')).status).toBe(404)
  expect((await get('/v1/totals')).status).toBe(405)
  expect((await get('/v1/partitions/7/outcomes?from=0&to=1')).status).toBe(404)
  expect((await get('/v1/partitions/99999999999/outcomes?from=0&to=1')).status).toBe(404)
  expect((await get('/')).body['text']).toContain('/v1/counters')
  expect((await get('/openapi.json')).body).toMatchObject({ openapi: '3.1.0' })
})

test('an ETag holds until something is counted', async () => {
  const url = keyUrl(api.url, COUNTER, 'k')
  const etag = (await ask(url)).headers.get('etag') ?? ''
  expect(etag).toMatch(/^W\/"/)
  expect((await ask(url, { headers: { 'if-none-match': etag } })).status).toBe(304)
  await partitions[1]!.commit(writer, [{ key: 'other', at: T0, delta: 1n }])
  await waitFor(
    async () => (await ask(url, { headers: { 'if-none-match': etag } })).status === 200,
    {
      what: 'another ETag',
    },
  )
})

test('a publisher learns what became of its own events', async () => {
  const outcomes = new OutcomeWriter()
  const zero = partitions[0]!
  const first = zero.next
  outcomes.reset(first)
  outcomes.add(first + 1, 0, 1)
  outcomes.add(first + 1, 2, 2)
  outcomes.add(first + 4, 0, 4)
  const events = [{ key: 'k2', at: T0, delta: 1n }]
  await zero.commit(writer, events, { offsets: 6, outcomes: outcomes.take() })
  const { body } = await get(`/v1/partitions/0/outcomes?from=${first + 1}&to=${first + 100}`)
  expect(body).toEqual({
    partition: 0,
    next: first + 6,
    counted: first + 6,
    outcomes: [
      [first + 1, 0, 'duplicate'],
      [first + 1, 2, 'conflict'],
      [first + 4, 0, 'invalid'],
    ],
    gaps: [],
  })
  const later = await get(`/v1/partitions/0/outcomes?from=${first + 2}&to=${first + 4}`)
  expect(later.body).toMatchObject({ next: first + 4, outcomes: [] })
})

test('status and lag say what is not counted yet, and since when', async () => {
  const [zero] = partitions
  const producer = createKafkaProducer({
    brokers: bed.brokers.split(','),
    clientId: 'test',
    logger: createLogger('test', 'warn'),
  })
  await producer.start()
  const count = zero!.next + 5
  const records = Array.from({ length: count }, () => ({ key: null, value: Buffer.from('x') }))
  await producer.send(bed.topic, 0, records)
  await producer.stop()
  const status = await waitFor(
    async () => {
      const { body } = await get('/v1/status')
      const [partition] = body['partitions'] as Record<string, unknown>[]
      if (partition?.['end'] !== count) throw new Error('the end is not seen yet')
      return partition
    },
    { what: 'the end of the log' },
  )
  expect(status).toMatchObject({
    partition: 0,
    next: zero!.next,
    lag: 5,
    applied: expect.stringMatching(/^\d+$/),
  })
  expect(status['lagMs']).toBeGreaterThan(0)
  const behind = await ask(keyUrl(api.url, COUNTER, STRANGE_KEYS[0]!))
  expect(behind.body['lagMs']).toBeGreaterThan(0)
  expect(behind.body['asOf']).toBe(new Date(T0 + 61 * MINUTE).toISOString().replace('.000Z', 'Z'))

  await zero!.commit(writer, [], { offsets: 5 })
  await waitFor(
    async () => {
      const { body } = await get('/v1/status')
      const [partition] = body['partitions'] as Record<string, unknown>[]
      return partition?.['lag'] === 0 && partition['state'] === 'live'
    },
    { what: 'a live partition' },
  )
})
