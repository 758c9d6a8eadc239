import { createProducer, type Producer, type Receipt } from '@countersink/producer'
import type { EventInput } from '@countersink/shared/event'
import { createLogger } from '@countersink/shared/log'
import { parsePosition } from '@countersink/shared/position'
import { homePartition, partitionHash, recordHash, recordKey } from '@countersink/shared/routing'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { readTopic } from './topic-events.ts'

const PARTITIONS = 4
const AT = 1_700_000_000_000
const logger = createLogger('test', 'fatal')

let bed: KafkaBed
let producers: Producer[]
/** Of the producers, unless they are started with another. */
let format: 'packed' | 'json' = 'packed'

beforeEach(async () => {
  producers = []
  bed = await createKafkaBed(inject('servers').brokers, { partitions: PARTITIONS })
})

afterEach(async () => {
  await Promise.all(producers.map((producer) => producer.stop()))
  await bed.stop()
})

async function startProducer(options: Partial<Parameters<typeof createProducer>[0]> = {}) {
  const producer = createProducer({
    brokers: bed.brokers.split(','),
    topic: bed.topic,
    logger,
    format,
    ...options,
  })
  producers.push(producer)
  await producer.start()
  return producer
}

function makeEvents(count: number): EventInput[] {
  return Array.from({ length: count }, (_, i) => {
    return { id: `e${i}`, counter: 'views', key: `k${i % 97}`, delta: (i % 7) - 3, at: AT + i }
  })
}

describe.each(['packed', 'json'] as const)('as %s', (each) => {
  beforeEach(() => {
    format = each
  })

  test('a receipt says where the event is in the log, in the partition of its counter and key', async () => {
    const producer = await startProducer()
    const events = makeEvents(1_000)
    const receipts = await Promise.all(events.map((event) => producer.add(event)))
    const found = await readTopic(bed)
    expect(found).toHaveLength(events.length)
    const places = new Map(found.map((one) => [`${one.partition}/${one.offset}/${one.index}`, one]))
    receipts.forEach(({ id, at, partition, offset, index, position }, i) => {
      const event = events[i]
      const one = places.get(`${partition}/${offset}/${index}`)
      expect(one?.event).toEqual(event)
      expect({ id, at }).toEqual({ id: event?.id, at: event?.at })
      const key = recordKey('views', event?.key ?? '')
      expect(partition).toBe(homePartition(partitionHash(key), PARTITIONS))
      expect([one?.encoding, one?.key]).toEqual([format, format === 'json' ? key.toString() : null])
      expect(parsePosition(position)).toEqual({
        topic: bed.topic,
        generation: 0,
        next: new Map([[partition, offset + 1]]),
      })
    })
    expect(new Set(receipts.map(({ partition }) => partition)).size).toBe(PARTITIONS)
  })

  test('an event without an id gets one, and its time unless it has one', async () => {
    const producer = await startProducer({ now: () => AT })
    const dims = { country: 'de' }
    const receipts = await Promise.all([
      producer.add({ counter: 'views', key: 'k' }),
      producer.add({ counter: 'views', key: 'k', at: AT - 5, delta: 2, dims }),
    ])
    const events = (await readTopic(bed)).map((one) => one.event)
    const [first, second] = receipts.map((receipt: Receipt) => receipt.id)
    expect(first).not.toBe(second)
    expect(events).toEqual([
      { id: first, counter: 'views', key: 'k', delta: 1, at: AT },
      { id: second, counter: 'views', key: 'k', delta: 2, at: AT - 5, dims },
    ])
  })

  test('an invalid event rejects with its reason, and nothing of it is sent', async () => {
    const producer = await startProducer()
    const invalid: [unknown, string][] = [
      [{ id: 'a', counter: 'c', key: 'k' }, 'missing-at'],
      [{ counter: 'c', key: 'k', delta: 1.5 }, 'bad-delta'],
      [{ counter: 'c', key: 'k', delta: 2 ** 53 }, 'bad-delta'],
      [{ counter: '', key: 'k' }, 'bad-counter'],
      [{ counter: 'c', key: '\ud800' }, 'bad-key'],
      [{ counter: 'c', key: 'k', v: 2 }, 'unknown-version'],
      [{ counter: 'c', key: 'k', at: 'noon' }, 'bad-at'],
      [{ counter: 'c', key: 'k', dims: { a: 1 } }, 'bad-dims'],
      [null, 'not-an-object'],
      [[], 'not-an-object'],
      [{}, 'bad-counter'],
    ]
    for (const [event, reason] of invalid) {
      const error = { code: 'EVENT_INVALID', reason, retryable: false }
      await expect(producer.add(event as EventInput)).rejects.toMatchObject(error)
    }
    await producer.add({ counter: 'c', key: 'k', delta: -0 })
    expect((await readTopic(bed)).map((one) => one.event.delta)).toEqual([0])
    expect(producer.stats()).toMatchObject({ added: 1, invalid: invalid.length, delivered: 1 })
  })

  test('a full buffer makes add() wait in order, and drops nothing', async () => {
    const bounds = { bufferEventsMax: 50, batchBytesMax: 500, lingerMs: 1 }
    const producer = await startProducer(bounds)
    const events = makeEvents(1_000)
    const receipts = events.map((event) => producer.add(event))
    expect(producer.stats()).toMatchObject({
      bufferedEvents: 50,
      waitingEvents: events.length - 50,
    })
    await producer.flush()
    expect(producer.stats()).toMatchObject({ bufferedEvents: 0, waitingEvents: 0 })
    await Promise.all(receipts)
    const found = await readTopic(bed)
    expect(found).toHaveLength(events.length)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const ofIt = found.filter((one) => one.partition === partition).map((one) => one.event)
      const sent = events.filter((event) => {
        return homePartition(recordHash(event.counter, event.key), PARTITIONS) === partition
      })
      expect(ofIt).toEqual(sent)
    }
  })

  test('a loop that awaits room() never makes anything wait', async () => {
    const producer = await startProducer({ bufferEventsMax: 50 })
    const receipts: Promise<Receipt>[] = []
    let waitingMax = 0
    for (const event of makeEvents(2_000)) {
      await producer.room()
      receipts.push(producer.add(event))
      waitingMax = Math.max(waitingMax, producer.stats().waitingEvents)
    }
    expect((await Promise.all(receipts)).length).toBe(2_000)
    expect(waitingMax).toBe(0)
  })

  test('more waiting than allowed rejects at once, with the event', async () => {
    const producer = await startProducer({ bufferEventsMax: 1, waitingEventsMax: 1, lingerMs: 50 })
    const [first, second, third] = makeEvents(3).map((event) => producer.add(event))
    await expect(third).rejects.toMatchObject({
      code: 'NOT_DELIVERED',
      retryable: true,
      event: { id: 'e2', at: AT + 2 },
    })
    expect((await Promise.all([first, second])).map((receipt) => receipt?.id)).toEqual(['e0', 'e1'])
  })

  test('an event given up before it was sent is not in the log', async () => {
    const producer = await startProducer({ bufferEventsMax: 1, lingerMs: 50 })
    const given = new AbortController()
    const first = producer.add({ id: 'first', counter: 'c', key: 'k', at: AT })
    const second = producer.add({ id: 'second', counter: 'c', key: 'k', at: AT }, given)
    const third = producer.add({ id: 'third', counter: 'c', key: 'k', at: AT })
    given.abort(new Error('enough'))
    await expect(second).rejects.toMatchObject({ code: 'NOT_DELIVERED', event: { id: 'second' } })
    await Promise.all([first, third])
    expect((await readTopic(bed)).map((one) => one.event.id)).toEqual(['first', 'third'])
  })

  test('stop() delivers what is buffered; then add() is closed', async () => {
    const producer = await startProducer({ lingerMs: 1_000 })
    const receipts = makeEvents(500).map((event) => producer.add(event))
    expect(await producer.stop()).toEqual({ undelivered: [] })
    expect(await Promise.all(receipts)).toHaveLength(500)
    await expect(producer.add({ counter: 'c', key: 'k' })).rejects.toMatchObject({ code: 'CLOSED' })
    expect(await producer.stop()).toEqual({ undelivered: [] })
    expect(await readTopic(bed)).toHaveLength(500)
  })

  test.each(['gzip', 'lz4', 'zstd'] as const)('batches compressed with %s', async (compression) => {
    const producer = await startProducer({ compression })
    const events = makeEvents(200)
    await Promise.all(events.map((event) => producer.add(event)))
    const ids = (await readTopic(bed)).map((one) => one.event.id)
    expect(new Set(ids)).toEqual(new Set(events.map((event) => event.id)))
  })
})

test('before start(), and without the topic, the error says what is wrong', async () => {
  const brokers = bed.brokers.split(',')
  const idle = createProducer({ brokers, topic: bed.topic })
  await expect(idle.add({ counter: 'c', key: 'k' })).rejects.toMatchObject({ code: 'CLOSED' })
  expect(await idle.stop()).toEqual({ undelivered: [] })
  const lost = createProducer({ brokers, topic: `${bed.topic}.none` })
  await expect(lost.start()).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
  await lost.stop()
})
