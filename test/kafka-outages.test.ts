import { open, readdir } from 'node:fs/promises'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processEnvironment } from '@countersink/local/config'
import { startKafka, type OwnKafka } from '@countersink/local/own-servers'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import { createKafkaProducer } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { waitFor } from './stack.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

/* A broker of this file's own, which it kills, and which advertises the proxy before it. */

const FETCH = 1
const PRODUCE = 0
const logger = createLogger('kafka-test', 'silent')
let dir: string
let kafka: OwnKafka
let proxy: TcpProxy
let bed: KafkaBed

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'countersink-outages-'))
  // The proxy must be known before the broker is, so its target is looked up at each connection.
  const target = { port: 0 }
  proxy = await startTcpProxy(target)
  const advertised = `127.0.0.1:${proxy.port}`
  kafka = await startKafka({ dir, environment: processEnvironment(), advertised })
  target.port = kafka.port
  bed = await createKafkaBed(advertised, { partitions: 2 })
})

afterAll(async () => {
  await bed.stop()
  await kafka.kill()
  await proxy.stop()
  await rm(dir, { recursive: true, force: true })
})

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i))
}

async function freshTopic(): Promise<KafkaBed> {
  return await createKafkaBed(bed.brokers, { partitions: 1 })
}

describe('a consumer', () => {
  test('goes on where it was when connections are cut, once in the middle of an answer', async () => {
    const own = await freshTopic()
    const consumer = own.consumer()
    await consumer.start()
    await waitFor(() => consumer.owned.size === 1, { what: 'the assignment' })
    const large = numbers(2_000).map((value) => value.padEnd(500))
    proxy.cutInside(100_000)
    await own.write(0, large)
    await waitFor(() => consumer.records.length >= large.length, { what: 'all of them' })
    for (let round = 0; round < 5; round++) {
      proxy.cut()
      await own.write(0, numbers(10, round * 10))
    }
    await waitFor(() => consumer.records.length >= large.length + 50, { what: 'the rest' })
    expect(consumer.values()).toEqual([...large, ...numbers(50)])
    expect(consumer.events).toEqual(['assigned 0'])
    await own.stop()
  })

  test('notices fetches that are never answered although heartbeats pass', async () => {
    const own = await freshTopic()
    const consumer = own.consumer()
    await consumer.start()
    await own.write(0, ['before'])
    await waitFor(() => consumer.records.length === 1, { what: 'the first record' })
    proxy.swallowAnswers(FETCH)
    const direct = createKafkaProducer({ brokers: [own.brokers], clientId: 'direct', logger })
    await direct.start()
    await direct.send(own.topic, 0, [{ key: null, value: Buffer.from('after') }])
    await waitFor(() => consumer.records.length === 2, { what: 'the next', timeoutMs: 30_000 })
    expect(consumer.events).toEqual(['assigned 0'])
    await direct.stop()
    await own.stop()
  })

  test('waits for a broker that was killed, and stops in bounded time while it is away', async () => {
    const own = await freshTopic()
    const staying = own.consumer()
    const leaving = own.consumer({ groupId: 'leaving' })
    await Promise.all([staying.start(), leaving.start()])
    await own.write(0, numbers(10))
    await waitFor(() => staying.records.length === 10, { what: 'ten records' })
    await waitFor(() => leaving.records.length === 10, { what: 'ten records' })
    await kafka.kill()
    const begunMs = performance.now()
    await leaving.stop()
    expect(performance.now() - begunMs).toBeLessThan(8_000)
    await kafka.start()
    await own.write(0, numbers(10, 10))
    await waitFor(() => staying.records.length >= 20, { what: 'the rest' })
    expect(staying.values()).toEqual(numbers(20))
    await own.stop()
  })

  test('may be started before the broker and the topic are there', async () => {
    await kafka.kill()
    const own = bed.consumer({ topic: 'made-later', groupId: 'made-later' })
    await own.start()
    await kafka.start()
    await bed.admin.createTopic({ topic: 'made-later', partitions: 1 })
    await waitFor(() => own.owned.size === 1, { what: 'the assignment' })
    await bed.producer.send('made-later', 0, [{ key: null, value: Buffer.from('x') }])
    await waitFor(() => own.records.length === 1, { what: 'the record' })
    expect(own.values()).toEqual(['x'])
    await own.stop()
  })

  test('names a batch whose bytes rotted on disk, and reads the other partition on', async () => {
    const own = await createKafkaBed(bed.brokers, { partitions: 2 })
    await own.write(0, ['good'])
    await own.write(0, ['this one will rot'])
    await own.write(0, ['behind'])
    await own.write(1, ['other'])
    await kafka.stop()
    await rot(join(dir, 'kafka', 'data', `${own.topic}-0`), 'this one will rot')
    await kafka.start()
    const consumer = own.consumer()
    await consumer.start()
    const corrupt = await waitFor(
      () => consumer.batches.find((batch) => batch.corrupt !== undefined)?.corrupt,
      { what: 'the report' },
    )
    expect(corrupt?.offset).toBe(1)
    expect(corrupt?.reason).toContain('checksum')
    await own.write(1, ['more'])
    await waitFor(() => consumer.values(1).length === 2, { what: 'the other partition' })
    expect(consumer.values(0)).toEqual(['good'])
    expect(consumer.batches.filter((batch) => batch.corrupt !== undefined)).toHaveLength(1)
    consumer.resume(0, 2)
    await waitFor(() => consumer.values(0).length === 2, { what: 'what is behind it' })
    expect(consumer.values(0)).toEqual(['good', 'behind'])
    await own.stop()
  })
})

/** Changes one byte of `content` in the log of a partition. */
async function rot(partitionDir: string, content: string): Promise<void> {
  const [segment = ''] = (await readdir(partitionDir)).filter((name) => name.endsWith('.log'))
  const file = await open(join(partitionDir, segment), 'r+')
  try {
    const bytes = await file.readFile()
    const position = bytes.indexOf(content)
    expect(position).toBeGreaterThan(0)
    await file.write(Buffer.from('X'), 0, 1, position)
  } finally {
    await file.close()
  }
}

describe('a producer', () => {
  test('whose acknowledgement was swallowed writes once', async () => {
    const own = await freshTopic()
    await own.write(0, ['first'])
    proxy.swallowAnswers(PRODUCE)
    expect(await own.write(0, ['second'])).toBe(1)
    expect(await own.write(0, ['third'])).toBe(2)
    expect((await own.admin.endOffsets(own.topic)).get(0)).toBe(3)
    await own.stop()
  })

  test('keeps order and loses nothing through cuts', async () => {
    const own = await freshTopic()
    const sends: Promise<number>[] = []
    for (let i = 0; i < 60; i++) {
      sends.push(own.write(0, [String(i)]))
      if (i % 10 === 9) proxy.cut()
      if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await Promise.all(sends)).toEqual(Array.from({ length: 60 }, (_, i) => i))
    expect((await own.admin.endOffsets(own.topic)).get(0)).toBe(60)
    await own.stop()
  })

  test('tells what it could not deliver in time, and works again when the broker does', async () => {
    const own = await freshTopic()
    const options = { brokers: [own.brokers], clientId: 'short', logger, deliveryTimeoutMs: 1_500 }
    const producer = createKafkaProducer(options)
    await producer.start()
    const records = [{ key: null, value: Buffer.from('x') }]
    await producer.send(own.topic, 0, records)
    await kafka.kill()
    const failed = await producer.sendBatch(own.topic, new Map([[0, records]]))
    expect(failed.get(0)).toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true })
    await kafka.start()
    await waitFor(async () => (await producer.send(own.topic, 0, records)).baseOffset > 0, {
      what: 'the broker to be back',
    })
    await producer.stop()
    await expect(producer.send(own.topic, 0, records)).rejects.toMatchObject({ code: 'CLOSED' })
    await own.stop()
  })
})

test('an admin says that no broker answers, in bounded time', async () => {
  await kafka.kill()
  const options = { brokers: [bed.brokers], clientId: 'admin', logger, callTimeoutMs: 1_000 }
  const admin = createKafkaAdmin(options)
  await expect(admin.start()).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true })
  await admin.stop()
  await kafka.start()
})
