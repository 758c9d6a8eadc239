import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { processEnvironment } from '@countersink/local/config'
import { type OwnKafka, startKafka } from '@countersink/local/own-servers'
import {
  createProducer,
  NotDeliveredError,
  type Producer,
  type Receipt,
} from '@countersink/producer'
import type { EventInput } from '@countersink/shared/event'
import { createLogger } from '@countersink/shared/log'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { waitFor } from './stack.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { readTopic } from './topic-events.ts'

const AT = 1_700_000_000_000
const logger = createLogger('test', 'fatal')
const target = { port: 0 }

let dir: string
let proxy: TcpProxy
let kafka: OwnKafka
let bed: KafkaBed
let producers: Producer[]

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'countersink-producer-'))
  proxy = await startTcpProxy(target)
  const advertised = `127.0.0.1:${proxy.port}`
  kafka = await startKafka({ dir, environment: processEnvironment(), advertised })
  target.port = kafka.port
})

afterAll(async () => {
  await kafka.stop()
  await proxy.stop()
  await rm(dir, { recursive: true, force: true })
})

beforeEach(async () => {
  producers = []
  bed = await createKafkaBed(`127.0.0.1:${proxy.port}`, { partitions: 3 })
})

afterEach(async () => {
  await Promise.all(producers.map((producer) => producer.stop()))
  await bed.stop()
})

async function startProducer(options: Partial<Parameters<typeof createProducer>[0]> = {}) {
  const producer = createProducer({ brokers: [bed.brokers], topic: bed.topic, logger, ...options })
  producers.push(producer)
  await producer.start()
  return producer
}

function makeEvents(count: number): EventInput[] {
  return Array.from({ length: count }, (_, i) => {
    return { id: `e${i}`, counter: 'views', key: `k${i % 31}`, delta: 1, at: AT + i }
  })
}

type Place = Pick<Receipt, 'id' | 'at' | 'partition' | 'offset' | 'index'>

/** The receipts that point at anything but their event; an event must have one `at` everywhere. */
async function misplaced(receipts: readonly Place[]): Promise<Place[]> {
  const found = await readTopic(bed)
  const places = new Map(found.map((one) => [`${one.partition}/${one.offset}/${one.index}`, one]))
  const times = new Map(found.map(({ event }) => [event.id, event.at]))
  expect(found.filter(({ event }) => event.at !== times.get(event.id))).toEqual([])
  return receipts.filter(({ id, at, partition, offset, index }) => {
    const event = places.get(`${partition}/${offset}/${index}`)?.event
    return event?.id !== id || event.at !== at
  })
}

test('F17: acknowledgements that are swallowed are asked for again, with the same id and at', async () => {
  const producer = await startProducer({ deliveryTimeoutMs: 60_000 })
  await producer.add({ counter: 'views', key: 'first' })
  proxy.swallowAnswers()
  const receipts = await Promise.all(makeEvents(300).map((event) => producer.add(event)))
  expect(producer.stats()).toMatchObject({ delivered: 301, undelivered: 0 })
  // The connections of the test itself were swallowed too.
  proxy.cut()
  expect(await misplaced(receipts)).toEqual([])
}, 120_000)

test('connections that are cut again and again lose nothing', async () => {
  const producer = await startProducer({ deliveryTimeoutMs: 60_000, lingerMs: 1 })
  const cutting = setInterval(() => proxy.cut(), 70)
  const receipts = []
  for (const event of makeEvents(400)) receipts.push(await producer.add(event))
  clearInterval(cutting)
  expect(await misplaced(receipts)).toEqual([])
}, 120_000)

test('F15: while the broker is away events wait, and arrive when it is back', async () => {
  const producer = await startProducer({ deliveryTimeoutMs: 60_000 })
  await producer.add({ counter: 'views', key: 'first' })
  await kafka.kill()
  const adding = makeEvents(200).map((event) => producer.add(event))
  await waitFor(() => producer.stats().oldestBufferedMs > 500, { what: 'events that wait' })
  await kafka.start()
  expect(await misplaced(await Promise.all(adding))).toEqual([])
}, 120_000)

test('an event not acknowledged in time comes back, and can be added again', async () => {
  const producer = await startProducer({ deliveryTimeoutMs: 1_000, bufferEventsMax: 3 })
  await producer.add({ counter: 'views', key: 'first' })
  await kafka.kill()
  const given: EventInput[] = [...makeEvents(6), { counter: 'views', key: 'made' }]
  const begun = performance.now()
  const results = await Promise.allSettled(given.map((event) => producer.add(event)))
  expect(performance.now() - begun).toBeLessThan(3_000)
  const errors = results.map((result) => (result.status === 'rejected' ? result.reason : undefined))
  const failed = errors.filter((error) => error instanceof NotDeliveredError)
  expect(failed).toHaveLength(given.length)
  expect(failed.every((error) => error.retryable && error.code === 'NOT_DELIVERED')).toBe(true)
  expect(failed.slice(0, 6).map((error) => error.event)).toEqual(given.slice(0, 6))
  expect(failed[6]?.event).toMatchObject({ key: 'made', at: expect.any(Number) as number })
  expect(producer.stats()).toMatchObject({ bufferedEvents: 0, waitingEvents: 0, undelivered: 7 })
  await kafka.start()
  const again = await startProducer({ deliveryTimeoutMs: 60_000 })
  expect(await misplaced(await Promise.all(failed.map((error) => again.add(error.event))))).toEqual(
    [],
  )
}, 120_000)

test('stop() without a broker is bounded, and says what was not delivered', async () => {
  const producer = await startProducer({ stopTimeoutMs: 500, bufferEventsMax: 5 })
  await producer.add({ counter: 'views', key: 'first' })
  await kafka.kill()
  const events = makeEvents(20)
  const settled = Promise.allSettled(events.map((event) => producer.add(event)))
  const begun = performance.now()
  const { undelivered } = await producer.stop()
  expect(performance.now() - begun).toBeLessThan(8_000)
  expect(undelivered.toSorted((a, b) => Number(a.at) - Number(b.at))).toEqual(events)
  expect((await settled).every((result) => result.status === 'rejected')).toBe(true)
  await kafka.start()
}, 120_000)

test.each(['packed', 'json'])(
  'F25: killed with a full buffer, all that was acknowledged is in the log: %s',
  async (format) => {
    const bound = 500
    const entry = join(import.meta.dirname, 'producer-child.ts')
    const child = spawn(process.execPath, [entry, bed.brokers, bed.topic, String(bound), format])
    const lines = createInterface(child.stdout)
    const acknowledged: Place[] = []
    let added = 0
    lines.on('line', (line) => {
      const report = JSON.parse(line) as { added: number; receipts: typeof acknowledged }
      added = report.added
      acknowledged.push(...report.receipts)
    })
    const ended = Promise.all([once(child, 'exit'), once(lines, 'close')])
    await waitFor(() => acknowledged.length > 2_000, { what: 'receipts' })
    child.kill('SIGKILL')
    await ended
    expect(await misplaced(acknowledged)).toEqual([])
    const ids = new Set((await readTopic(bed)).map(({ event }) => event.id))
    expect(added - ids.size).toBeLessThanOrEqual(bound)
    const producer = await startProducer()
    const again = Array.from({ length: added }, (_, i) => {
      return { id: `e${i}`, counter: 'views', key: `k${i % 31}`, at: AT + i }
    })
    await Promise.all(again.map((event) => producer.add(event)))
    const all = new Set((await readTopic(bed)).map(({ event }) => event.id))
    expect(all).toEqual(new Set([...ids, ...again.map(({ id }) => id)]))
  },
  120_000,
)
