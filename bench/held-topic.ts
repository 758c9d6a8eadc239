// oxlint-disable-next-line no-restricted-imports -- Ours has no transactions.
import { Kafka, logLevel } from 'kafkajs'
import type { TopicLoad } from './topic-load.ts'

/** Longer than appending and loading take, shorter than the broker's bound of 15 minutes. */
const HOLD_MS_MAX = 600_000

export type HeldTopic = {
  /** Shows what was appended meanwhile, all at once. */
  release: () => Promise<void>
}

/**
 * Holds back what is appended to a topic from here on: a transaction that is open in front of it,
 * with a record in each partition, lets nobody read further who reads committed data only. It ends
 * aborted, so these records count nothing; they and their markers are offsets of the log all the
 * same.
 */
export async function holdTopic(brokers: string, load: TopicLoad): Promise<HeldTopic> {
  const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
  const producer = kafka.producer({
    transactionalId: `hold-${load.topic}`,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: HOLD_MS_MAX,
  })
  await producer.connect()
  const transaction = await producer.transaction()
  const messages = load.ends.map((_, partition) => ({ partition, key: null, value: 'held' }))
  await transaction.send({ topic: load.topic, messages })
  for (const partition of load.ends.keys()) load.ends[partition]!++
  return {
    release: async () => {
      await transaction.abort()
      // Behind what was appended stands a marker now, an offset as well.
      for (const partition of load.ends.keys()) load.ends[partition]!++
      await producer.disconnect()
    },
  }
}
