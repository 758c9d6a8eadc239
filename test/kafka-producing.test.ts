import type { ProducerRecord } from '@countersink/shared/kafka/producer'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { waitFor } from './stack.ts'

let bed: KafkaBed

beforeAll(async () => {
  bed = await createKafkaBed(inject('servers').brokers, {
    partitions: 4,
    config: { 'message.timestamp.type': 'LogAppendTime' },
  })
})

afterAll(async () => {
  await bed.stop()
})

function records(count: number, name: string): { key: Buffer; value: Buffer }[] {
  return Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`k${i}`),
    value: Buffer.from(`${name} ${i}`),
  }))
}

describe('the producer', () => {
  test('tells each send where its records are, and the time that the log gave them', async () => {
    const before = Date.now()
    const sends = await Promise.all([
      bed.producer.send(bed.topic, 0, records(3, 'a')),
      bed.producer.send(bed.topic, 0, records(2, 'b')),
      bed.producer.send(bed.topic, 1, records(1, 'c')),
    ])
    expect(sends.map(({ baseOffset }) => baseOffset)).toEqual([0, 3, 0])
    for (const { logAppendTimeMs } of sends) {
      expect(logAppendTimeMs).toBeGreaterThanOrEqual(before - 1_000)
    }
    const consumer = bed.consumer()
    await consumer.start()
    await waitFor(() => consumer.records.length === 6, { what: 'all of them' })
    expect(consumer.values(0)).toEqual(['a 0', 'a 1', 'a 2', 'b 0', 'b 1'])
    await consumer.stop()
  })

  test('answers for each partition of a batch alone', async () => {
    const huge = [{ key: null, value: Buffer.alloc(2_000_000) }]
    const results = await bed.producer.sendBatch(
      bed.topic,
      new Map<number, ProducerRecord[]>([
        [2, records(2, 'fine')],
        [3, huge],
      ]),
    )
    expect(results.get(2)).toMatchObject({ baseOffset: 0 })
    expect(results.get(3)).toMatchObject({ code: 'LIMIT_REACHED', retryable: false })
    expect(await bed.producer.send(bed.topic, 3, records(1, 'next'))).toMatchObject({
      baseOffset: 0,
    })
  })

  test('a send that is too large does not take others down that were joined with it', async () => {
    const end = (await bed.admin.endOffsets(bed.topic)).get(2) ?? 0
    // Under way while the others queue up behind it, which are joined then.
    const first = bed.producer.send(bed.topic, 2, records(1, 'first'))
    await new Promise((resolve) => setImmediate(resolve))
    const joined = [
      bed.producer.send(bed.topic, 2, records(1, 'small')),
      bed.producer.send(bed.topic, 2, [{ key: null, value: Buffer.alloc(2_000_000) }]),
      bed.producer.send(bed.topic, 2, records(1, 'small too')),
    ]
    await first
    const settled = await Promise.allSettled(joined)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await bed.admin.endOffsets(bed.topic)).get(2)).toBe(end + 3)
  })

  test('goes on in a topic that was deleted and made again', async () => {
    const own = await createKafkaBed(inject('servers').brokers, { partitions: 1 })
    const first = await own.admin.describeTopic(own.topic)
    for (let i = 0; i < 5; i++) await own.write(0, ['old'])
    await own.admin.deleteTopic(own.topic)
    expect(await own.admin.topicExists(own.topic)).toBe(false)
    await own.admin.createTopic({ topic: own.topic, partitions: 1 })
    expect((await own.admin.describeTopic(own.topic)).topicId).not.toBe(first.topicId)
    await own.write(0, ['new'])
    expect((await own.admin.endOffsets(own.topic)).get(0)).toBe(1)
    await own.stop()
  })

  test('a topic that is not there is named as missing', async () => {
    await expect(bed.producer.partitions('no-such-topic')).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    })
    await expect(bed.admin.describeTopic('no-such-topic')).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    })
  })
})

test('the admin tells the settings of a topic and its cluster', async () => {
  const { partitions, config, topicId } = await bed.admin.describeTopic(bed.topic)
  expect(partitions.map(({ partition }) => partition)).toEqual([0, 1, 2, 3])
  expect(config.get('message.timestamp.type')).toBe('LogAppendTime')
  expect(config.get('cleanup.policy')).toBe('delete')
  expect(topicId).toMatch(/^[\w-]{22}$/)
  const cluster = await bed.admin.describeCluster()
  expect(cluster.version).toBe('4.1 or later')
  expect(cluster.brokers.length).toBeGreaterThan(0)
})
