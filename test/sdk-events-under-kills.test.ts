import { createProducer, type Producer, type ProducerOptions } from '@countersink/producer'
import type { EventInput } from '@countersink/shared/event'
import { createLogger } from '@countersink/shared/log'
import { afterEach, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { ownServers, type ServiceHandle, waitFor } from './stack.ts'
import { startTcpProxy } from './tcp-proxy.ts'
import { readTopic } from './topic-events.ts'

const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }
const COUNTERS = ['views', 'plays', 'likes']
const KEYS = 40
const KILLS = 5
const EVENTS_PER_ROUND = 3_000

const stops: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

async function startProducer(
  bed: { brokers: string; topic: string },
  options: Partial<ProducerOptions>,
): Promise<Producer> {
  const producer = createProducer({
    brokers: bed.brokers.split(','),
    topic: bed.topic,
    logger: createLogger('test', 'fatal'),
    ...options,
  })
  stops.push(() => producer.stop())
  await producer.start()
  return producer
}

/** Events without ids, and with; of now, several of them of one series and second. */
function makeEvents(count: number, round: string): (EventInput & { delta: number })[] {
  return Array.from({ length: count }, (_, i) => {
    const counter = COUNTERS[i % COUNTERS.length] ?? ''
    const own = i % 7 === 0 ? { id: `${round}-${i}`, at: Date.now() - i } : {}
    const dims = i % 3 === 0 ? { dims: { country: i % 2 === 0 ? 'de' : 'fr' } } : {}
    const key = `k${(i * i) % KEYS}`
    return { ...own, ...dims, counter, key, delta: 1 + (i % 5) }
  })
}

/** Adds a list in both ways, and gives each event back as it can be added again. */
async function addAll(
  producer: Producer,
  list: readonly (EventInput & { delta: number })[],
): Promise<EventInput[]> {
  const half = list.length >> 1
  const many = producer.addMany(list.slice(0, half))
  const single = await Promise.all(list.slice(half).map((event) => producer.add(event)))
  const receipt = await many
  expect([receipt.delivered, receipt.invalid, receipt.undelivered]).toEqual([half, [], []])
  return list.map((event, i) => {
    const found = i < half ? receipt.receipt(i) : single[i - half]
    if (found === undefined) throw new Error(`event ${i} has no receipt`)
    return { ...event, id: found.id, at: found.at }
  })
}

/** The sums of the stored totals without dims, by counter. */
async function storedSums(bed: CountedBed): Promise<Record<string, number>> {
  const rows = await bed.sql<{ counter: string; sum: string }>(
    `select counter, sum(total) as sum from countersink.totals where dims = '{}' group by counter`,
  )
  return Object.fromEntries(rows.map(({ counter, sum }) => [counter, Number(sum)]))
}

/** Counts everything that is in the topic, and compares with an oracle that read it too. */
async function expectCounted(bed: CountedBed): Promise<{ duplicate: number }> {
  const { tally } = bed
  tally.add(await readTopic(bed))
  await tally.settled()
  const actual = await tally.actual()
  expect(actual).toEqual(tally.expected())
  return actual.ledger
}

test(
  'I3, I5, I6: packed, combined and JSON events, sent again in other encodings under kills, count once',
  { timeout: 240_000 },
  async () => {
    const bed = await createCountedBed({ partitions: 4, env })
    stops.push(bed.stop)
    const aggregator: ServiceHandle = await bed.startService('aggregator', { until: 'alive' })
    const bounds = { lingerMs: 2, bufferEventsMax: 1_000, batchBytesMax: 8_000 }
    const producers = await Promise.all([
      startProducer(bed, { ...bounds, format: 'packed' }),
      startProducer(bed, { ...bounds, format: 'packed', combine: true, lingerMs: 20 }),
      startProducer(bed, { ...bounds, format: 'json', combine: true }),
      startProducer(bed, { ...bounds, format: 'json' }),
    ])
    const sums: Record<string, number> = {}
    let again: EventInput[] = []
    for (let round = 0; round <= KILLS; round++) {
      const before = await bed.tally.position()
      const lists = producers.map((_, i) => makeEvents(EVENTS_PER_ROUND, `${round}-${i}`))
      for (const { counter, delta } of lists.flat()) {
        sums[counter] = (sums[counter] ?? 0) + delta
      }
      const sending = Promise.all([
        ...producers.map((producer, i) => addAll(producer, lists[i] ?? [])),
        // What the round before has sent, by another producer and in another encoding.
        producers[round % 4]?.addMany(again.filter((_, i) => i % 2 === 0)),
        producers[(round + 2) % 4]?.addMany(again.filter((_, i) => i % 3 === 0)),
      ])
      if (round < KILLS) {
        const isMoving = async (): Promise<boolean> => (await bed.tally.position()) > before
        await waitFor(isMoving, { what: 'stored offsets' })
        await aggregator.kill()
      }
      const results = await sending
      again = results.slice(0, producers.length).flatMap((list) => list as EventInput[])
      if (round < KILLS) await aggregator.start()
    }
    const ledger = await expectCounted(bed)
    expect(await storedSums(bed)).toEqual(sums)
    expect(ledger).toMatchObject({ conflict: 0, late: 0, invalid: 0 })
    expect(ledger.duplicate).toBeGreaterThan(EVENTS_PER_ROUND * KILLS)
    const stats = producers.map((producer) => producer.stats())
    expect(stats.map(({ combined }) => combined > 1_000)).toEqual([false, true, true, false])
    const all = stats.map(({ added, delivered, combined }) => added - delivered - combined)
    expect(all).toEqual([0, 0, 0, 0])
  },
)

test(
  'I5: what came back as not delivered and was in the log all the same meets its first copy',
  { timeout: 120_000 },
  async () => {
    const target = { port: 0 }
    const proxy = await startTcpProxy(target)
    stops.push(() => proxy.stop())
    const servers = await ownServers({ advertisedKafka: `127.0.0.1:${proxy.port}` })
    stops.push(() => servers.stop())
    target.port = servers.kafka.port
    const bed = await createCountedBed({ partitions: 3, servers, env })
    stops.push(bed.stop)
    const options = { deliveryTimeoutMs: 1_500, stopTimeoutMs: 500 } as const
    const packed = await startProducer(bed, { ...options, format: 'packed' })
    const combined = await startProducer(bed, { ...options, format: 'packed', combine: true })
    await Promise.all([
      packed.addMany(makeEvents(300, 'a')),
      combined.addMany(makeEvents(300, 'b')),
    ])

    const produceApi = 0
    proxy.swallowAnswers(produceApi)
    const list = makeEvents(300, 'c')
    const [many, singles] = await Promise.all([
      packed.addMany(list),
      Promise.allSettled(makeEvents(300, 'd').map((event) => combined.add(event))),
    ])
    proxy.cut()
    expect(many.delivered + many.undelivered.length).toBe(300)
    const back = many.undelivered.map(({ event }) => event)
    for (const result of singles) {
      if (result.status === 'rejected') back.push(Reflect.get(result.reason, 'event') as EventInput)
    }
    expect(back.length).toBeGreaterThan(300)
    const again = await startProducer(bed, { format: 'packed' })
    const retries = [...back, ...back.toReversed()]
    expect(await again.addMany(retries)).toMatchObject({ delivered: retries.length })
    const json = await startProducer(bed, { format: 'json' })
    expect(await json.addMany(back)).toMatchObject({ delivered: back.length })

    const aggregator = await bed.startService('aggregator', { until: 'alive' })
    const ledger = await expectCounted(bed)
    expect(ledger).toMatchObject({ conflict: 0, late: 0, invalid: 0 })
    // One of four copies counts of what had arrived, one of three of the rest.
    expect(ledger.duplicate).toBeGreaterThan(2 * back.length)
    const sums: Record<string, number> = {}
    for (const { counter, delta } of ['a', 'b', 'c', 'd'].flatMap((n) => makeEvents(300, n))) {
      sums[counter] = (sums[counter] ?? 0) + delta
    }
    expect(await storedSums(bed)).toEqual(sums)
    await aggregator.stop()
  },
)
