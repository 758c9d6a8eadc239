import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processEnvironment } from '@countersink/local/config'
import { type OwnKafka, startKafka } from '@countersink/local/own-servers'
import { createGateway } from '@countersink/producer/gateway'
import { parseGatewayConfig } from '@countersink/producer/gateway-config'
import { createLogger } from '@countersink/shared/log'
import { parsePosition } from '@countersink/shared/position'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createGatewayBed, type GatewayBed, type Result } from './gateway-bed.ts'
import { createKafkaBed } from './kafka-bed.ts'
import { createTestBed, waitFor } from './stack.ts'
import { readTopic } from './topic-events.ts'

const AT = 1_700_000_000_000
const EVENT = { id: 'a', counter: 'views', key: 'k', at: AT }

let dir: string
let kafka: OwnKafka
let bed: GatewayBed

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'countersink-gateway-'))
  kafka = await startKafka({ dir, environment: processEnvironment() })
  bed = await createGatewayBed(kafka.brokers, { DELIVERY_TIMEOUT_MS: '1000' })
})

afterAll(async () => {
  await bed.stop()
  await kafka.stop()
  await rm(dir, { recursive: true, force: true })
})

test('F15: without Kafka the answer is 503 with what to send again; with it, 202', async () => {
  // On a busy machine the first delivery of all can take longer than the bound set here.
  await waitFor(async () => (await bed.post(EVENT)).status === 202, { what: 'a first event' })
  await kafka.kill()
  const away = await bed.post([EVENT, { counter: 'views', key: 'made' }, { ...EVENT, key: '' }])
  expect(away).toMatchObject({ status: 503, body: { code: 'not-delivered' } })
  expect(away.headers.get('retry-after')).toBe('1')
  const [given, made, invalid] = away.body.results ?? []
  expect(given).toMatchObject({ id: 'a', code: 'NOT_DELIVERED', retryable: true, at: AT })
  expect(made).toMatchObject({
    id: expect.any(String) as string,
    code: 'NOT_DELIVERED',
    at: expect.any(Number) as number,
  })
  expect(invalid).toMatchObject({ code: 'bad-key' })
  expect((await bed.ask('/healthz')).status).toBe(200)
  const notReady = await waitFor(
    async () => {
      const answer = await bed.ask('/readyz')
      return answer.status === 503 && answer
    },
    { what: 'not ready' },
  )
  expect(notReady && notReady.body['code']).toBe('not-ready')
  await kafka.start()
  await waitFor(async () => (await bed.ask('/readyz')).status === 200, { what: 'ready again' })
  const again = { id: made?.id, at: made?.['at'], counter: 'views', key: 'made' }
  const back = await waitFor(
    async () => {
      const answer = await bed.post(again)
      return answer.status === 202 && answer
    },
    { what: 'an accepted event' },
  )
  expect(await bed.recordAt(back && back.body['position'])).toMatchObject({ id: made?.id })
})

test('a gateway that starts before Kafka says so, and waits for it', async () => {
  await kafka.kill()
  const env = { KAFKA_BROKERS: kafka.brokers, COUNTERSINK_TOPIC: bed.kafka.topic, PORT: '0' }
  const early = createGateway(parseGatewayConfig(env), createLogger('gateway', 'fatal'))
  const url = `http://127.0.0.1:${(await early.start()).port}`
  const post = () => {
    const headers = { 'content-type': 'application/json' }
    return fetch(`${url}/v1/events`, { method: 'POST', headers, body: JSON.stringify(EVENT) })
  }
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect((await fetch(`${url}/readyz`)).status).toBe(503)
  expect((await post()).status).toBe(503)
  await kafka.start()
  await waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: 'ready' })
  expect((await post()).status).toBe(202)
  await early.stop()
})

test('F30: SIGTERM under load answers what is in flight, then exits with 0', async () => {
  const own = await createKafkaBed(inject('servers').brokers, { partitions: 3 })
  const testBed = await createTestBed({ partitions: 1 })
  const service = await testBed.startService('gateway', { env: { COUNTERSINK_TOPIC: own.topic } })
  const accepted: Result[] = []
  const failures: unknown[] = []
  let sent = 0
  let stopping = false

  /** One client after another request, until the gateway takes no more. */
  async function load(client: number): Promise<void> {
    while (!stopping || sent < 1) {
      const list = Array.from({ length: 50 }, (_, i) => ({
        ...EVENT,
        id: `${client}.${sent}.${i}`,
      }))
      sent++
      try {
        const response = await fetch(`${service.url}/v1/events`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(list),
        })
        const { results = [] } = (await response.json()) as { results?: Result[] }
        accepted.push(...results.filter(({ status }) => status === 'accepted'))
        if (response.status === 503) return
        if (response.status !== 202) failures.push(response.status)
      } catch (error) {
        // Only a connection that was never taken may be refused.
        const cause = error instanceof Error ? String(error.cause) : String(error)
        if (!/ECONNREFUSED|ECONNRESET|other side closed/.test(cause)) failures.push(cause)
        return
      }
    }
  }

  const clients = Array.from({ length: 8 }, (_, client) => load(client))
  await waitFor(() => accepted.length > 500, { what: 'events under way' })
  const ended = service.ended()
  await service.kill('SIGTERM')
  stopping = true
  expect(await ended).toBe('code 0')
  await Promise.all(clients)
  expect(failures).toEqual([])
  const ends = await own.admin.endOffsets(own.topic)
  const logged = new Set((await readTopic(own)).map(({ event }) => event.id))
  expect(accepted.filter(({ id }) => !logged.has(id ?? ''))).toEqual([])
  for (const { position } of accepted) {
    const [[partition, next] = [-1, 1]] = parsePosition(String(position)).next
    expect(next).toBeLessThanOrEqual(ends.get(partition) ?? 0)
  }
  await testBed.stop()
  await own.stop()
})
