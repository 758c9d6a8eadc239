import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterEach, expect, test } from 'vitest'
import { CountersinkError } from '../errors.ts'
import { readJson } from './body.ts'
import type { HttpLimits } from './limits.ts'
import type { Readiness } from './operations.ts'
import { sendProblem } from './problem.ts'
import { createHttpServer, type HttpServer } from './server.ts'

type Started = { server: HttpServer; url: string; port: number }
type Answer = { status: number; body: Record<string, unknown>; headers: Headers }

const servers: HttpServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

type Setup = {
  limits?: Partial<HttpLimits>
  readiness?: () => Readiness | Promise<Readiness>
  routes?: (server: HttpServer) => void
}

async function serve(setup: Setup = {}): Promise<Started> {
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
    readiness: setup.readiness ?? (() => ({ ready: true, checks: { kafka: 'ok' } })),
    openapi: { openapi: '3.1.0' },
    limits: setup.limits ?? {},
  })
  servers.push(server)
  server.app.post('/v1/echo', async (request, reply) => {
    const json = await readJson(request, server.body)
    return json.ok ? reply.send({ value: json.value }) : sendProblem(reply, json.problem)
  })
  server.app.get('/v1/keys/:key', (request) => ({ params: request.params, query: request.query }))
  setup.routes?.(server)
  const { port } = await server.start()
  return { server, port, url: `http://127.0.0.1:${port}` }
}

async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init)
  const text = await response.text()
  const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text }
  return { status: response.status, body, headers: response.headers }
}

function post(
  url: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const type = { 'content-type': 'application/json' }
  return ask(`${url}/v1/echo`, { method: 'POST', body, headers: { ...type, ...headers } })
}

/** Sends raw bytes and resolves to all that comes back until the server closes. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.on('end', () => resolve(text)).on('error', reject)
  })
}

test('health, readiness, metrics and the OpenAPI document are at the root', async () => {
  const { url } = await serve()
  expect(await ask(`${url}/healthz`)).toMatchObject({ status: 200, body: { status: 'ok' } })
  expect(await ask(`${url}/readyz`)).toMatchObject({
    status: 200,
    body: { checks: { kafka: 'ok' } },
  })
  expect(await ask(`${url}/openapi.json`)).toMatchObject({ body: { openapi: '3.1.0' } })
  const metrics = await ask(`${url}/metrics`)
  expect(metrics.body['text']).toContain('route="/healthz",status="200"')
})

test('not being ready is a 503 that says which check failed', async () => {
  const { url } = await serve({
    readiness: () => ({ ready: false, checks: { kafka: 'no broker answers', config: 'ok' } }),
  })
  const { status, body, headers } = await ask(`${url}/readyz`)
  expect(status).toBe(503)
  expect(headers.get('retry-after')).toBe('1')
  expect(body).toMatchObject({ code: 'not-ready', detail: 'kafka: no broker answers' })
})

test('a readiness check that hangs or throws is not ready, within its bound', async () => {
  const hanging = await serve({
    readiness: () => new Promise<Readiness>(() => {}),
    limits: { readinessTimeoutMs: 50 },
  })
  expect((await ask(`${hanging.url}/readyz`)).body['detail']).toBe(
    'readiness: no answer within 0.05 s',
  )
  const throwing = await serve({ readiness: () => Promise.reject(new Error('boom')) })
  expect((await ask(`${throwing.url}/readyz`)).body['detail']).toBe('readiness: boom')
})

test('an unknown path is 404 and a wrong method 405 with Allow, as Problem Details', async () => {
  const { url } = await serve()
  const missing = await ask(`${url}/v2/nothing?x=1`)
  expect(missing.status).toBe(404)
  expect(missing.headers.get('content-type')).toContain('application/problem+json')
  expect(missing.body).toEqual({
    type: 'urn:countersink:problem:not-found',
    title: 'Not Found',
    status: 404,
    detail: 'there is no such path',
    code: 'not-found',
  })
  const wrong = await ask(`${url}/v1/keys/a?x=1`, { method: 'DELETE' })
  expect(wrong.status).toBe(405)
  expect(wrong.headers.get('allow')).toBe('GET, HEAD')
  expect((await ask(`${url}/v1/echo`)).headers.get('allow')).toBe('POST')
})

test('keys in a path arrive as they were: long, encoded and with any name', async () => {
  const { url } = await serve()
  const key = 'ä/?\u0000#'.repeat(100)
  const { body } = await ask(`${url}/v1/keys/${encodeURIComponent(key)}`)
  expect(body['params']).toEqual({ key })
  expect((await ask(`${url}/v1/keys/__proto__`)).body['params']).toEqual({ key: '__proto__' })
})

test.each([
  ['/v1/keys/a?from=1&from=2', 'the parameter "from" is given twice'],
  ['/v1/keys/a?a%62=1&ab=2', 'the parameter "ab" is given twice'],
  ['/v1/keys/a?x=%ff', 'the query has a percent escape that is not UTF-8'],
  [`/v1/keys/a?${Array.from({ length: 65 }, (_, i) => `p${i}`).join('&')}`, 'more than 64'],
])('a query that readers could understand differently is refused: %s', async (path, detail) => {
  const { url } = await serve()
  const { status, body } = await ask(url + path)
  expect(status).toBe(400)
  expect(body['detail']).toContain(detail)
})

test('a broken escape in the path is 400', async () => {
  const { url } = await serve()
  expect(await ask(`${url}/v1/keys/%ff`)).toMatchObject({ status: 400, body: { code: 'bad-url' } })
})

test('too many and too large headers are 431', async () => {
  const { url, port } = await serve()
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, '1']))
  expect(await ask(`${url}/healthz`, { headers: many })).toMatchObject({
    status: 431,
    body: { code: 'too-many-headers' },
  })
  const headers = Array.from({ length: 10_000 }, (_, i) => `x-${i}: 1\r\n`).join('')
  const answer = await raw(port, `GET /healthz HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
  expect(answer).toContain('HTTP/1.1 431')
  expect(answer).toContain('urn:countersink:problem:headers-too-large')
})

test('what is not HTTP is 400', async () => {
  const { port } = await serve()
  const answer = await raw(port, 'hello\r\n\r\n')
  expect(answer).toContain('HTTP/1.1 400')
  expect(answer).toContain('urn:countersink:problem:bad-http')
})

test('bodies are parsed exactly, gzip or not', async () => {
  const { url } = await serve()
  expect((await post(url, '{"n":9007199254740993,"__proto__":1}')).body).toEqual({
    value: JSON.parse('{"n":null,"__proto__":1}') as unknown,
  })
  const gzip = await post(url, gzipSync('[1e3]'), { 'content-encoding': 'gzip' })
  expect(gzip.body).toEqual({ value: [1000] })
})

test.each([
  ['', {}, 400, 'empty-body'],
  ['{', {}, 400, 'not-json'],
  [Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'not-utf8'],
  ['{}', { 'content-type': 'text/plain' }, 415, 'unsupported-content-type'],
  ['{}', { 'content-type': 'nonsense' }, 415, 'unsupported-content-type'],
  ['{}', { 'content-encoding': 'br' }, 415, 'unsupported-encoding'],
  ['{}', { 'content-encoding': 'gzip' }, 400, 'bad-gzip'],
  [gzipSync('{}').subarray(0, 12), { 'content-encoding': 'gzip' }, 400, 'bad-gzip'],
])('a bad body is a problem, not a failure (%#)', async (body, headers, status, code) => {
  const { url } = await serve()
  const answer = await post(url, body, headers as Record<string, string>)
  expect(answer).toMatchObject({ status, body: { code } })
})

test('bodies are bounded as sent and inflated', async () => {
  const { url } = await serve({ limits: { bodyBytesMax: 1000, inflatedBytesMax: 5000 } })
  const large = JSON.stringify('x'.repeat(2_000_000))
  expect(await post(url, large)).toMatchObject({ status: 413, body: { code: 'body-too-large' } })
  const stream = new Blob([large]).stream()
  const chunked = await ask(`${url}/v1/echo`, {
    method: 'POST',
    body: stream,
    duplex: 'half',
    headers: { 'content-type': 'application/json' },
  } as RequestInit)
  expect(chunked.status).toBe(413)
  const bomb = gzipSync(JSON.stringify('x'.repeat(100_000)))
  expect(bomb.length).toBeLessThan(1000)
  expect((await post(url, bomb, { 'content-encoding': 'gzip' })).status).toBe(413)
  const fits = gzipSync(JSON.stringify('x'.repeat(4000)))
  expect((await post(url, fits, { 'content-encoding': 'gzip' })).status).toBe(200)
})

test('a slow body ends with 408', async () => {
  const { port } = await serve({ limits: { bodyTimeoutMs: 100 } })
  const head = 'POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
  const answer = await raw(port, `${head}Content-Length: 10\r\n\r\n{`)
  expect(answer).toContain('HTTP/1.1 408')
  expect(answer).toContain('urn:countersink:problem:body-timeout')
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
})

test('slow headers end with 408', async () => {
  const { port } = await serve({ limits: { headersTimeoutMs: 100 } })
  const answer = await raw(port, 'GET /healthz HTTP/1.1\r\nHost: a\r\n')
  expect(answer).toContain('urn:countersink:problem:request-timeout')
})

test('beyond the bytes or requests in flight the answer is 503, health goes on', async () => {
  const gate = Promise.withResolvers<void>()
  const { url, server } = await serve({
    limits: { requestsInFlightMax: 1, bodyBytesInFlightMax: 100 },
    routes: ({ app }) => app.get('/v1/wait', () => gate.promise.then(() => ({ done: true }))),
  })
  expect(await post(url, JSON.stringify('x'.repeat(200)))).toMatchObject({
    status: 503,
    body: { code: 'overloaded' },
  })
  expect(server.body.budget.used()).toBe(0)
  const waiting = ask(`${url}/v1/wait`)
  await expect
    .poll(async () => (await ask(`${url}/metrics`)).body['text'])
    .toContain('countersink_http_requests_in_flight 2')
  const refused = await ask(`${url}/v1/keys/a`)
  expect(refused).toMatchObject({ status: 503, body: { code: 'overloaded' } })
  expect(refused.headers.get('retry-after')).toBe('1')
  expect((await ask(`${url}/healthz`)).status).toBe(200)
  gate.resolve()
  expect((await waiting).body).toEqual({ done: true })
})

test('errors of ours keep their code, all others are an empty 500', async () => {
  const { url } = await serve({
    routes: ({ app }) => {
      app.get('/v1/ours', () => {
        throw new CountersinkError('POSTGRES_UNAVAILABLE', 'the database does not answer')
      })
      app.get('/v1/others', () => {
        throw new Error('secret')
      })
    },
  })
  const ours = await ask(`${url}/v1/ours`)
  expect(ours).toMatchObject({ status: 503, body: { code: 'postgres-unavailable' } })
  expect(ours.headers.get('retry-after')).toBe('1')
  const others = await ask(`${url}/v1/others`)
  expect(others).toMatchObject({ status: 500, body: { code: 'internal' } })
  expect(JSON.stringify(others.body)).not.toContain('secret')
})

test('stop() lets what is in flight finish and takes nothing new', async () => {
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const { url, server } = await serve({
    routes: ({ app }) => {
      app.get('/v1/wait', async () => {
        entered.resolve()
        await gate.promise
        return { done: true }
      })
    },
  })
  const waiting = ask(`${url}/v1/wait`)
  await entered.promise
  const stopping = server.stop()
  expect(server.closing.aborted).toBe(true)
  await expect.poll(() => ask(`${url}/healthz`).catch(() => 'refused')).toBe('refused')
  gate.resolve()
  expect((await waiting).body).toEqual({ done: true })
  await stopping
  await server.stop()
})

test('stop() cuts off what does not finish in time, and is safe before start', async () => {
  const { url, server } = await serve({
    limits: { drainTimeoutMs: 50 },
    routes: ({ app }) => app.get('/v1/never', () => new Promise(() => {})),
  })
  const never = ask(`${url}/v1/never`).catch(() => 'cut off')
  await expect.poll(async () => (await ask(`${url}/metrics`)).body['text']).toContain('in_flight 2')
  await server.stop()
  expect(await never).toBe('cut off')
})

test('a port in use is told by its number', async () => {
  const { port } = await serve()
  const second = createHttpServer({
    host: '127.0.0.1',
    port,
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
    readiness: () => ({ ready: true, checks: {} }),
  })
  await expect(second.start()).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  await second.stop()
})
