import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createGatewayBed, type GatewayBed } from './gateway-bed.ts'

const AT = 1_700_000_000_000
const EVENT = { id: 'a', counter: 'views', key: 'k', at: AT }

let bed: GatewayBed

beforeAll(async () => {
  bed = await createGatewayBed(inject('servers').brokers)
})

afterAll(() => bed.stop())

const list = (count: number) => Array.from({ length: count }, (_, i) => ({ ...EVENT, id: `e${i}` }))

test.each<[string, unknown, Record<string, string>, number, string]>([
  ['no body', '', {}, 400, 'empty-body'],
  ['cut JSON', '{"id":"a"', {}, 400, 'not-json'],
  ['a BOM', `\ufeff${JSON.stringify(EVENT)}`, {}, 400, 'not-json'],
  ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'not-utf8'],
  ['100,000 levels', '['.repeat(100_000) + ']'.repeat(100_000), {}, 400, 'too-deep'],
  ['a string', '"x"', {}, 400, 'not-an-object'],
  ['null', 'null', {}, 400, 'not-an-object'],
  ['NaN', `{"id":"a","counter":"c","key":"k","at":1,"delta":NaN}`, {}, 400, 'not-json'],
  ['an empty list', '[]', {}, 400, 'no-events'],
  ['a list too long', list(10_001), {}, 413, 'too-many-events'],
  [
    'too large',
    JSON.stringify({ ...EVENT, note: 'x'.repeat(9_000_000) }),
    {},
    413,
    'body-too-large',
  ],
  [
    'a gzip bomb',
    gzipSync(Buffer.alloc(50_000_000, 32)),
    { 'content-encoding': 'gzip' },
    413,
    'body-too-large',
  ],
  ['no gzip', JSON.stringify(EVENT), { 'content-encoding': 'gzip' }, 400, 'bad-gzip'],
  ['brotli', JSON.stringify(EVENT), { 'content-encoding': 'br' }, 415, 'unsupported-encoding'],
  ['text', 'views 1', { 'content-type': 'text/plain' }, 415, 'unsupported-content-type'],
  [
    'a form',
    'a=1',
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    'unsupported-content-type',
  ],
])('%s is refused as a whole', async (_name, body, headers, status, code) => {
  const answer = await bed.post(body, headers)
  expect(answer).toMatchObject({ status, body: { code, status } })
  expect(answer.headers.get('content-type')).toContain('application/problem+json')
})

test('a list of the greatest length is accepted', async () => {
  const { status, body } = await bed.post(list(10_000))
  expect(status).toBe(202)
  expect(new Set(body.results?.map((result) => result['position'])).size).toBe(10_000)
})

test.each<[string, RequestInit, number, string]>([
  ['/v1/event', { method: 'POST' }, 404, 'not-found'],
  ['/', {}, 404, 'not-found'],
  ['/v1/events', {}, 405, 'method-not-allowed'],
  ['/v1/events', { method: 'DELETE' }, 405, 'method-not-allowed'],
  ['/v1/events?a=1&a=2', { method: 'POST' }, 400, 'bad-query'],
  ['/v1/%ff', {}, 400, 'bad-url'],
  [
    '/v1/events',
    { method: 'POST', headers: Object.fromEntries(list(200).map(({ id }) => [`x-${id}`, '1'])) },
    431,
    'too-many-headers',
  ],
])('%s %j is %i', async (path, init, status, code) => {
  expect(await bed.ask(path, init)).toMatchObject({ status, body: { code } })
})

test('beyond the bytes in flight the answer is 503, and it recovers', async () => {
  const small = await createGatewayBed(inject('servers').brokers, {
    BODY_BYTES_IN_FLIGHT_MAX: '300000',
    LINGER_MS: '1000',
  })
  const body = JSON.stringify({ ...EVENT, note: 'x'.repeat(100_000) })
  const answers = await Promise.all(Array.from({ length: 8 }, () => small.post(body)))
  const refused = answers.filter(({ status }) => status === 503)
  const accepted = answers.filter(({ status }) => status === 202)
  expect(accepted.length).toBeGreaterThanOrEqual(2)
  expect(refused.length).toBe(answers.length - accepted.length)
  expect(refused[0]?.body['code']).toBe('overloaded')
  expect(refused[0]?.headers.get('retry-after')).toBe('1')
  expect((await small.post(body)).status).toBe(202)
  await small.stop()
})

test('what a contract says of one event is told at the border', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-gateway-'))
  await writeFile(
    `${dir}/counters.yaml`,
    'unknownCounters: reject\ncounters: {views: {deltas: positive, maxDelta: 10}}',
  )
  const strict = await createGatewayBed(inject('servers').brokers, {
    COUNTERSINK_CONTRACTS: `${dir}/counters.yaml`,
  })
  const { status, body } = await strict.post([
    EVENT,
    { ...EVENT, delta: -1 },
    { ...EVENT, delta: 11 },
    { ...EVENT, counter: 'other' },
  ])
  expect(status).toBe(207)
  expect(body.results?.map((result) => result['code'])).toEqual([
    undefined,
    'negative-delta',
    'delta-out-of-bounds',
    'unknown-counter',
  ])
  await strict.stop()
  await rm(dir, { recursive: true })
})

test('metrics count events by outcome, and never name a key', async () => {
  await bed.post([
    { ...EVENT, key: 'secret-key' },
    { ...EVENT, key: '' },
  ])
  const { body } = await bed.ask('/metrics')
  expect(body['text']).toMatch(/countersink_gateway_events_total\{outcome="accepted"\} \d+/)
  expect(body['text']).toMatch(/countersink_gateway_events_total\{outcome="bad-key"\} \d+/)
  expect(body['text']).toContain('countersink_producer_partitions 3')
  expect(body['text']).not.toContain('secret-key')
  const openapi = await bed.ask('/openapi.json')
  expect(openapi.body).toMatchObject({ openapi: '3.1.0', paths: { '/v1/events': { post: {} } } })
})
