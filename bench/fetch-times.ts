import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConsumer } from '@countersink/shared/kafka/consumer'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import { createLogger } from '@countersink/shared/log'

const POLL_MS = 5
const FETCHED_MS_MAX = 10_000
const JOINED_MS_MAX = 30_000

/** When a plain consumer, which does nothing with them, had records in its hands. */
export type FetchTimes = {
  /** performance.now() of the fetch that brought this offset. */
  timeOf: (partition: number, offset: number) => Promise<number>
  stop: () => Promise<void>
}

/** Reads a topic from its present end on and keeps only times. */
export async function followFetches(brokers: string[], topic: string): Promise<FetchTimes> {
  const logger = createLogger('bench', 'silent')
  const admin = createKafkaAdmin({ brokers, clientId: 'bench', logger })
  await admin.start()
  const ends = await admin.endOffsets(topic)
  await admin.stop()
  /** Per partition the ends of fetches and their times, both rising. */
  const fetched = new Map([...ends.keys()].map((p) => [p, { ends: [0], times: [0] }]))
  let assigned = 0
  const consumer = createConsumer({
    brokers,
    clientId: 'bench-fetch',
    groupId: `bench-${randomUUID()}`,
    topic,
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 2000,
    rebalanceTimeoutMs: 10_000,
    maxBytesPerPartition: 1024 * 1024,
    maxBytes: 16 * 1024 * 1024,
    maxWaitMs: 500,
    logger,
    hooks: {
      onAssigned: (added) => {
        assigned += added.length
        return Promise.resolve(new Map(added.map((p) => [p, ends.get(p) ?? 0])))
      },
      onRevoked: () => {},
      onBatch: (batch) => {
        const seen = fetched.get(batch.partition)
        seen?.ends.push(batch.nextOffset)
        seen?.times.push(performance.now())
        return Promise.resolve()
      },
      onOutOfRange: () => Promise.reject(new Error('out of range')),
    },
  })
  await consumer.start()
  const deadline = performance.now() + JOINED_MS_MAX
  while (assigned < ends.size) {
    if (performance.now() > deadline) throw new Error('the plain consumer got no partitions')
    await sleep(POLL_MS)
  }
  return {
    timeOf: async (partition, offset) => {
      const giveUpAt = performance.now() + FETCHED_MS_MAX
      for (;;) {
        const seen = fetched.get(partition)
        const i = seen?.ends.findIndex((end) => end > offset) ?? -1
        if (seen !== undefined && i >= 0) return seen.times[i] ?? Number.NaN
        if (performance.now() > giveUpAt) throw new Error('the plain consumer has not seen it')
        await sleep(POLL_MS)
      }
    },
    stop: () => consumer.stop(),
  }
}
