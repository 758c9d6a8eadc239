import { gzipSync } from 'node:zlib'
import { parsePosition } from '@countersink/shared/position'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createGatewayBed, type GatewayBed } from './gateway-bed.ts'
import { readTopic } from './topic-events.ts'

const AT = 1_700_000_000_000
const CLOUD = {
  specversion: '1.0',
  id: 'c-1',
  source: '/shop',
  type: 'views',
  subject: 'v_1',
  time: '2024-05-01T12:00:00Z',
}

let bed: GatewayBed

beforeAll(async () => {
  bed = await createGatewayBed(inject('servers').brokers)
})

afterAll(() => bed.stop())

test('one event: accepted with the position of its record', async () => {
  const event = { id: 'one', counter: 'views', key: 'k', delta: 3, at: AT, dims: { c: 'de' } }
  const { status, body } = await bed.post(event)
  expect(status).toBe(202)
  const [result] = body.results ?? []
  expect(result).toEqual({ id: 'one', status: 'accepted', position: body['position'] })
  expect(await bed.recordAt(body['position'])).toEqual(event)
})

test('a list goes to the topic packed, unless the gateway is told otherwise', async () => {
  const packed = await createGatewayBed(inject('servers').brokers, { EVENT_FORMAT: 'packed' })
  try {
    const list = Array.from({ length: 50 }, (_, i) => {
      return { id: `p${i}`, counter: 'views', key: `k${i % 7}`, delta: i, at: AT + i }
    })
    expect((await packed.post(list)).status).toBe(202)
    const found = await readTopic(packed.kafka)
    expect(new Set(found.map(({ encoding }) => encoding))).toEqual(new Set(['packed']))
    expect(found.map(({ event }) => event).toSorted((a, b) => a.at - b.at)).toEqual(list)
  } finally {
    await packed.stop()
  }
})

test('a list: each event is answered in its place, and the position covers all', async () => {
  const good = (id: string, key: string) => ({ id, counter: 'views', key, at: AT })
  const list = [
    good('a', 'x'),
    null,
    good('b', 'y'),
    7,
    { id: 'c', counter: 'views', key: 'k' },
    good('a', 'x'),
  ]
  const { status, body } = await bed.post(list)
  expect(status).toBe(207)
  expect(body.results?.map(({ id, status: of, code }) => [id, of, code])).toEqual([
    ['a', 'accepted', undefined],
    [null, 'rejected', 'not-an-object'],
    ['b', 'accepted', undefined],
    [null, 'rejected', 'not-an-object'],
    ['c', 'rejected', 'missing-at'],
    ['a', 'accepted', undefined],
  ])
  const reached = parsePosition(String(body['position'])).next
  for (const { position } of body.results ?? []) {
    if (typeof position !== 'string') continue
    const [[partition, next] = [-1, -1]] = parsePosition(position).next
    expect(reached.get(partition)).toBeGreaterThanOrEqual(next)
  }
})

test('without an id the gateway makes one, and stamps the time', async () => {
  const before = Date.now()
  const { body } = await bed.post({ counter: 'views', key: 'made' })
  const record = await bed.recordAt(body['position'])
  expect(record).toEqual({
    id: body.results?.[0]?.id,
    counter: 'views',
    key: 'made',
    delta: 1,
    at: expect.any(Number) as number,
  })
  expect(record['at']).toBeGreaterThanOrEqual(before)
})

test.each([
  [
    'structured',
    { ...CLOUD, data: { delta: 2 } },
    { 'content-type': 'application/cloudevents+json' },
  ],
  ['structured, as plain JSON', { ...CLOUD, data: { delta: 2 } }, {}],
  [
    'batch',
    [{ ...CLOUD, data: { delta: 2 } }],
    { 'content-type': 'application/cloudevents-batch+json' },
  ],
  [
    'binary',
    { delta: 2 },
    Object.fromEntries(Object.entries(CLOUD).map(([name, value]) => [`ce-${name}`, value])),
  ],
])('CloudEvents, %s: the same event', async (_mode, body, headers) => {
  const answer = await bed.post(body, headers as Record<string, string>)
  expect(answer.status).toBe(202)
  expect(answer.body.results?.[0]?.id).toBe('c-1')
  expect(await bed.recordAt(answer.body['position'])).toEqual({
    id: '5:/shop:c-1',
    counter: 'views',
    key: 'v_1',
    delta: 2,
    at: Date.UTC(2024, 4, 1, 12),
  })
})

test.each([
  [CLOUD, 'application/cloudevents-batch+json', 'not-a-list'],
  [[CLOUD], 'application/cloudevents+json', 'not-an-object'],
  [{ id: 'a', counter: 'c', key: 'k', at: AT }, 'application/cloudevents+json', 'bad-cloud-event'],
  [{ ...CLOUD, specversion: '0.3' }, 'application/cloudevents+json', 'unknown-version'],
  [{ ...CLOUD, subject: undefined }, 'application/json', 'bad-cloud-event'],
])('CloudEvents that are none are 400 (%#)', async (body, type, code) => {
  const answer = await bed.post(body, { 'content-type': type })
  expect(answer).toMatchObject({ status: 400, body: { code } })
})

test('a gzip body is read', async () => {
  const list = Array.from({ length: 2_000 }, (_, i) => ({
    id: `g${i}`,
    counter: 'c',
    key: `k${i}`,
    at: AT,
  }))
  const { status, body } = await bed.post(gzipSync(JSON.stringify(list)), {
    'content-encoding': 'gzip',
  })
  expect(status).toBe(202)
  expect(body.results?.map(({ id }) => id)).toEqual(list.map(({ id }) => id))
})

test('numbers are exact or rejected, never rounded', async () => {
  const spelled = (delta: string) =>
    `{"id":"n","counter":"views","key":"n","at":${AT},"delta":${delta}}`
  for (const delta of ['9007199254740993', '9007199254740991.5', '0.1', '1e999', '"5"', 'null']) {
    const answer = await bed.post(spelled(delta))
    expect({ delta, ...answer.body }).toMatchObject({ delta, status: 400, code: 'bad-delta' })
  }
  for (const [spelling, delta] of [
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['1e3', 1000],
    ['-0', 0],
  ] as const) {
    const { body } = await bed.post(spelled(spelling))
    expect((await bed.recordAt(body['position']))['delta']).toBe(delta)
  }
})

test('strange keys and dims go through as they are', async () => {
  const keys = [
    '__proto__',
    'constructor',
    "'; drop table x; --",
    '<b>',
    '=1+1',
    '\u202ex',
    'a\r\nb\u001b[0m',
    'é',
    'e\u0301',
  ]
  for (const key of keys) {
    const text = JSON.stringify({ id: key, counter: 'views', key, at: AT, dims: { toString: key } })
    const { status, body } = await bed.post(text.replace('"toString"', '"__proto__"'))
    expect(status).toBe(202)
    const record = await bed.recordAt(body['position'])
    expect([record['key'], Object.entries(record['dims'] ?? {})]).toEqual([
      key,
      [['__proto__', key]],
    ])
  }
})

const EVENT = { id: 's', counter: 'views', key: 'k', at: AT }

test.each([
  [{ ...EVENT, at: -1 }, 'bad-at'],
  [{ ...EVENT, at: '9999-12-31T23:59:60Z' }, 'bad-at'],
  [{ ...EVENT, at: 253_402_300_800_000 }, 'bad-at'],
  [{ ...EVENT, at: Date.now() + 3_600_000 }, 'future'],
  [{ ...EVENT, at: '9999-12-31T23:59:59Z' }, 'future'],
  [{ ...EVENT, at: null }, 'bad-at'],
  [{ ...EVENT, id: '' }, 'bad-id'],
  [{ ...EVENT, id: 'a\u0000' }, 'bad-id'],
  [{ ...EVENT, id: 5 }, 'bad-id'],
  [{ ...EVENT, counter: ' ' }, 'bad-counter'],
  [{ ...EVENT, key: '' }, 'bad-key'],
  [{ ...EVENT, key: '   ' }, 'bad-key'],
  [{ ...EVENT, key: 'k'.repeat(10_240) }, 'bad-key'],
  [{ ...EVENT, key: '\ud800' }, 'bad-key'],
  [{ ...EVENT, v: 2 }, 'unknown-version'],
  [{ ...EVENT, dims: [] }, 'bad-dims'],
  [{ ...EVENT, dims: { a: 1 } }, 'bad-dims'],
  [{}, 'bad-counter'],
])('an invalid event is a 400 problem with its reason (%#: %s)', async (event, code) => {
  const { status, body, headers } = await bed.post(event)
  expect(headers.get('content-type')).toContain('application/problem+json')
  expect({ status, ...body }).toMatchObject({
    status: 400,
    code,
    type: `urn:countersink:problem:${code}`,
  })
  expect(body.results).toMatchObject([{ status: 'rejected', code, detail: body['detail'] }])
  expect(parsePosition(String(body['position'])).next.size).toBe(0)
})
