import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { LOOPBACK } from './ports.ts'
import { serviceIsReady } from './probes.ts'

let server: Server | undefined
afterEach(() => server?.close())

async function answering(status: number, type: string, body: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server = createServer((_, response) => {
    response.writeHead(status, { 'content-type': type }).end(body)
  })
  server.listen(0, LOOPBACK, resolve)
  await promise
  return (server.address() as AddressInfo).port
}

const HALTED = 'partition 0: the log begins at 20'

test.each([
  ['ready', 200, { kafka: 'ok' }, true],
  ['only halted', 503, { kafka: 'ok', halted: HALTED }, true],
  ['halted and more', 503, { kafka: 'no fetch has succeeded lately', halted: HALTED }, false],
  ['something else', 503, { kafka: 'ok', partitions: '2 are being loaded', halted: 'ok' }, false],
  ['nothing it names', 503, { kafka: 'ok', halted: 'ok' }, false],
])('what counts as ready: %s', async (_, status, checks, isReady) => {
  const port = await answering(status, 'application/problem+json', JSON.stringify({ checks }))
  expect(await serviceIsReady(port)).toBe(isReady)
})

test.each([
  ['no JSON', 503, 'text/html', '<p>'],
  ['broken JSON', 503, 'application/json', '{'],
  ['JSON without checks', 503, 'application/json', '{}'],
])('an answer of another server is not ready: %s', async (_, status, type, body) => {
  expect(await serviceIsReady(await answering(status, type, body))).toBe(false)
})

test('nobody there is not ready', async () => {
  const port = await answering(200, 'text/plain', '')
  const { promise, resolve } = Promise.withResolvers<void>()
  server?.close(() => resolve())
  await promise
  expect(await serviceIsReady(port)).toBe(false)
})
