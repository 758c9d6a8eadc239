import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { startForeignProducer, type ForeignProducer } from './foreign-producer.ts'
import { createKafkaBed, type KafkaBed, type WatchedConsumer } from './kafka-bed.ts'
import { waitFor } from './stack.ts'

let foreign: ForeignProducer
const beds: KafkaBed[] = []

beforeAll(async () => {
  foreign = await startForeignProducer(inject('servers').brokers)
})

afterAll(async () => {
  await foreign.stop()
  await Promise.all(beds.map(async (bed) => await bed.stop()))
})

async function makeBed(options?: Parameters<typeof createKafkaBed>[1]): Promise<KafkaBed> {
  const bed = await createKafkaBed(inject('servers').brokers, options)
  beds.push(bed)
  return bed
}

function some(count: number, name: string): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i} ${'.'.repeat(i % 90)}`)
}

describe('records of foreign producers', () => {
  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('compressed with %s', async (codec) => {
    const { topic, ...bed } = await makeBed({ partitions: 1 })
    await foreign.create(codec, { 'compression.type': codec, 'linger.ms': '50' })
    const values = some(1_000, codec)
    for (const value of values) {
      await foreign.send(codec, { topic, partition: 0, key: 'k', value, headers: { h: 'v' } })
    }
    await foreign.flush(codec)
    const consumer = bed.consumer()
    await consumer.start()
    await waitFor(() => consumer.records.length >= values.length, { what: 'all records' })
    expect(consumer.values()).toEqual(values)
    expect(consumer.records.map(({ offset }) => offset)).toEqual(values.map((_, i) => i))
  })

  test('null keys, null values and keys of any bytes', async () => {
    const { topic, ...bed } = await makeBed({ partitions: 1 })
    await foreign.create('nulls')
    await foreign.send('nulls', { topic, partition: 0, key: null, value: null })
    await foreign.send('nulls', { topic, partition: 0, key: '', value: '' })
    await foreign.send('nulls', { topic, partition: 0, key: 'tab\tline\n', value: 'ü' })
    await foreign.flush('nulls')
    const consumer = bed.consumer()
    await consumer.start()
    await waitFor(() => consumer.records.length === 3, { what: 'three records' })
    expect(consumer.records.map(({ key, value }) => [key, value])).toEqual([
      [null, null],
      ['', ''],
      ['tab\tline\n', 'ü'],
    ])
  })
})

describe('transactions', () => {
  test('aborted ones, overlapping ones, markers and open ones: only what is committed', async () => {
    const { topic, ...bed } = await makeBed({ partitions: 1 })
    const consumer = bed.consumer()
    await consumer.start()
    for (const name of ['A', 'B', 'C']) {
      await foreign.create(name, { 'transactional.id': `${topic}-${name}`, 'linger.ms': '0' })
      await foreign.begin(name)
    }
    const send = async (name: string, value: string, key: string | Buffer = 'k'): Promise<void> => {
      await foreign.send(name, { topic, partition: 0, key, value })
      if (name !== 'plain') await foreign.flush(name)
    }
    // A begins first and B aborts first: kafkajs itself lets records of A through here.
    await send('A', 'A aborted 1')
    await send('B', 'B aborted')
    await bed.write(0, ['plain'])
    await foreign.abort('B')
    // A key like a marker's, which kafkajs takes for the end of the transaction.
    await send('A', 'A aborted 2', Buffer.alloc(4))
    await send('A', 'A aborted 3')
    await foreign.begin('B')
    await send('B', 'B committed')
    await foreign.abort('A')
    await foreign.commit('B')
    // A transaction without records of its own between aborted ones.
    await foreign.begin('A')
    await send('A', 'A aborted 4')
    await foreign.abort('A')
    await waitFor(() => consumer.values().includes('B committed'), { what: 'B' })

    // C stays open: nothing behind its first record is readable until it ends.
    await foreign.send('C', { topic, partition: 0, key: 'k', value: 'C committed' })
    const opened = Number((await foreign.flush('C'))[0]?.split(':')[1])
    const end = async (): Promise<number> => (await bed.admin.endOffsets(topic)).get(0) ?? -1
    // The others' markers are written behind their ends' back.
    await waitFor(async () => (await end()) === opened, { what: 'the others to be over' })
    await bed.write(0, ['behind'])
    expect(await end()).toBe(opened)
    await waitFor(() => consumer.next.get(0) === opened, { what: 'all before the open one' })
    await waitFor(
      () =>
        consumer.batches.some(({ nextOffset, highWatermark, lastStableOffset }) => {
          return nextOffset === opened && highWatermark > lastStableOffset
        }),
      { what: 'word of the open transaction' },
    )
    await foreign.commit('C')
    // Its marker is written behind the commit's back: only then the log's two ends meet.
    await waitFor(
      async () => {
        const [veryEnd] = (await bed.admin.endOffsets(topic, { uncommitted: true })).values()
        return consumer.values().length === 4 && consumer.next.get(0) === veryEnd
      },
      { what: 'no lag' },
    )
    expect(consumer.values()).toEqual(['plain', 'B committed', 'C committed', 'behind'])
  })

  test('a partition of aborted records only has no lag in the end', async () => {
    const { topic, ...bed } = await makeBed({ partitions: 1 })
    await foreign.create('only', { 'transactional.id': `${topic}-only` })
    for (let round = 0; round < 3; round++) {
      await foreign.begin('only')
      for (const value of some(50, 'gone')) {
        await foreign.send('only', { topic, partition: 0, key: null, value })
      }
      await foreign.abort('only')
    }
    const consumer = bed.consumer()
    await consumer.start()
    // Three times fifty records and a marker.
    await waitFor(() => consumer.next.get(0) === 153, { what: 'no lag' })
    expect(await bed.admin.endOffsets(topic)).toEqual(consumer.next)
    expect(consumer.records).toEqual([])
  })
})

describe('offsets', () => {
  test('start where onAssigned says, whatever the group has committed to Kafka', async () => {
    const bed = await makeBed({ partitions: 2 })
    await bed.write(0, ['a', 'b', 'c', 'd'])
    await bed.write(1, ['e'])
    const first = bed.consumer()
    await first.start()
    await waitFor(() => first.records.length === 5, { what: 'five records' })
    await first.commitAdvisory(
      new Map([
        [0, 4],
        [1, 1],
        [7, 9],
      ]),
    )
    const committed = await bed.admin.groupOffsets(bed.groupId, bed.topic)
    expect(committed).toEqual(
      new Map([
        [0, 4],
        [1, 1],
      ]),
    )
    await first.stop()

    const second = bed.consumer({}, { onAssigned: async () => new Map([[0, 2]]) })
    await second.start()
    await waitFor(() => second.records.length === 2, { what: 'two records' })
    expect(second.values(0)).toEqual(['c', 'd'])
    // Partition 1 had no offset: it waits for one.
    second.resume(1, 0)
    await waitFor(() => second.values(1).length === 1, { what: 'partition 1' })
  })

  test('a fetch tells the ends of the log', async () => {
    const bed = await makeBed({ partitions: 1 })
    await bed.write(0, ['a', 'b', 'c'])
    await bed.admin.deleteRecords(bed.topic, new Map([[0, 1]]))
    const consumer = bed.consumer({}, { onAssigned: async () => new Map([[0, 1]]) })
    await consumer.start()
    await waitFor(() => consumer.records.length === 2, { what: 'two records' })
    expect(consumer.batches[0]).toMatchObject({
      fetchedOffset: 1,
      nextOffset: 3,
      logStartOffset: 1,
      highWatermark: 3,
      lastStableOffset: 3,
    })
  })

  test('one that the log no longer holds stops its partition and no other, until resumed', async () => {
    const bed = await makeBed({ partitions: 2 })
    await bed.write(0, ['a', 'b', 'c'])
    await bed.admin.deleteRecords(bed.topic, new Map([[0, 2]]))
    const consumer = bed.consumer()
    await consumer.start()
    await waitFor(() => consumer.events.includes('out of range 0@0'), { what: 'the report' })
    await bed.write(1, ['x'])
    await waitFor(() => consumer.values(1).length === 1, { what: 'the other partition' })
    expect(consumer.values(0)).toEqual([])
    consumer.resume(0)
    await bed.write(1, ['y'])
    await waitFor(() => consumer.values(1).length === 2, { what: 'the other partition' })
    expect(consumer.values(0)).toEqual([])
    consumer.resume(0, 2)
    await waitFor(() => consumer.values(0).length === 1, { what: 'the rest' })
    expect(consumer.events.filter((event) => event.startsWith('out'))).toHaveLength(1)
  })

  test('retention that passes a paused partition in mid-run is noticed', async () => {
    const bed = await makeBed({ partitions: 1 })
    const consumer = bed.consumer()
    await consumer.start()
    await bed.write(0, ['a'])
    await waitFor(() => consumer.records.length === 1, { what: 'the first record' })
    consumer.pause(0)
    await bed.write(0, ['b', 'c', 'd'])
    await bed.admin.deleteRecords(bed.topic, new Map([[0, 3]]))
    consumer.resume(0)
    await waitFor(() => consumer.events.includes('out of range 0@1'), { what: 'the report' })
    expect(consumer.values()).toEqual(['a'])
  })

  test('past the end, as after a topic was made again, is out of range too', async () => {
    const bed = await makeBed({ partitions: 1 })
    await bed.write(0, ['a'])
    const consumer = bed.consumer({}, { onAssigned: async () => new Map([[0, 50]]) })
    await consumer.start()
    await waitFor(() => consumer.events.length === 2, { what: 'the report' })
    expect(consumer.events).toEqual(['assigned 0', 'out of range 0@50'])
  })
})

describe('large things', () => {
  test('a batch larger than a fetch may be is read all the same', async () => {
    const bed = await makeBed({ partitions: 2, config: { 'max.message.bytes': '4000000' } })
    const large = 'x'.repeat(2_000_000)
    await bed.write(0, [large])
    await bed.write(1, [large])
    await bed.write(0, ['small'])
    const consumer = bed.consumer({ maxBytes: 50_000, maxBytesPerPartition: 10_000 })
    await consumer.start()
    await waitFor(() => consumer.records.length === 3, { what: 'three records' })
    expect(consumer.values(0)).toEqual([large, 'small'])
    expect(consumer.values(1)).toEqual([large])
  })
})

describe('the pace of fetches', () => {
  const PACE_MS = 100

  test('what trickles in is asked for together', async () => {
    const bed = await makeBed({ partitions: 1 })
    const consumer = bed.consumer({ fetchPaceMs: PACE_MS })
    await consumer.start()
    await bed.write(0, ['first'])
    await waitFor(() => consumer.records.length === 1, { what: 'the first record' })
    const [before, beginMs] = [consumer.batches.length, performance.now()]
    const values = some(200, 'trickle')
    for (const value of values) await bed.write(0, [value])
    await waitFor(() => consumer.records.length === 201, { what: 'all records' })
    const fetchesMax = (performance.now() - beginMs) / PACE_MS + 3
    expect(consumer.batches.length - before).toBeLessThan(fetchesMax)
    expect(consumer.values()).toEqual(['first', ...values])
  })

  test('who is behind does not wait for it', async () => {
    const bed = await makeBed({ partitions: 2 })
    const values = some(20, 'behind')
    for (const value of values) await bed.write(0, [value])
    // Each fetch holds one record, and the empty partition beside it is always at its end.
    const consumer = bed.consumer({ fetchPaceMs: 5000, maxBytesPerPartition: 1 })
    const beginMs = performance.now()
    await consumer.start()
    await waitFor(() => consumer.records.length === 20, { what: 'all records' })
    expect(consumer.batches.length).toBeGreaterThanOrEqual(20)
    expect(performance.now() - beginMs).toBeLessThan(20_000)
  })
})

describe('memory of responses', () => {
  test('is read into again once all of its readers are done, and never before', async () => {
    const bed = await makeBed({ partitions: 3 })
    const written = [0, 1, 2].map((p) => some(6_000, `${p} ${String(p).repeat(800)}`))
    for (const [partition, values] of written.entries()) {
      for (let i = 0; i < 6_000; i += 500) await bed.write(partition, values.slice(i, i + 500))
    }
    const memories: ArrayBufferLike[] = []
    const intact: boolean[] = []
    const othersAreDone = (): boolean => [1, 2].every((p) => consumer.next.get(p) === 6_000)
    const consumer: WatchedConsumer = bed.consumer(
      { maxBytesPerPartition: 512 * 1024 },
      {
        async onBatch(batch) {
          const copies = batch.batches.map(({ records }) => Buffer.from(records))
          const from = memories.length
          // The first partition keeps what it has while the others read on and give theirs back.
          const isEnough = (): boolean => memories.length >= from + 4 || othersAreDone()
          if (batch.partition === 0) await waitFor(isEnough, { what: 'the other partitions' })
          intact.push(batch.batches.every(({ records }, i) => records.equals(copies[i]!)))
          memories.push(...batch.batches.slice(0, 1).map(({ records }) => records.buffer))
          batch.release()
        },
      },
    )
    await consumer.start()
    await waitFor(() => consumer.records.length === 18_000, { what: 'all records' })
    for (const [partition, values] of written.entries()) {
      expect(consumer.values(partition)).toEqual(values)
    }
    expect(intact).not.toContain(false)
    expect(new Set(memories).size).toBeLessThan(memories.length / 2)
  })
})
