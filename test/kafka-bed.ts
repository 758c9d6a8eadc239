import { randomBytes } from 'node:crypto'
import { createKafkaAdmin, type KafkaAdmin } from '@countersink/shared/kafka/admin'
import {
  createConsumer,
  type Consumer,
  type ConsumerHooks,
  type ConsumerOptions,
  type FetchedBatch,
} from '@countersink/shared/kafka/consumer'
import { createKafkaProducer, type KafkaProducer } from '@countersink/shared/kafka/producer'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { createLogger } from '@countersink/shared/log'

const logger = createLogger('kafka-test', 'error')

export type SeenRecord = {
  partition: number
  offset: number
  key: string | null
  value: string | null
}

/** A consumer that keeps what it is given, and what happened to it. */
export type WatchedConsumer = Consumer & {
  readonly records: SeenRecord[]
  readonly batches: FetchedBatch[]
  /** What happened, in order: 'assigned 0,1', 'revoked 0', 'out of range 0@5'. */
  readonly events: string[]
  /** Behind everything seen, by partition. */
  readonly next: Map<number, number>
  readonly owned: Set<number>
  values(partition?: number): (string | null)[]
}

export type KafkaBed = {
  readonly brokers: string
  readonly topic: string
  readonly groupId: string
  readonly admin: KafkaAdmin
  readonly producer: KafkaProducer
  /** Writes values to one partition; gives the offset of the first. */
  write(partition: number, values: readonly (string | null)[]): Promise<number>
  /** Not started; `hooks` replace ours one by one, whose effects stay. */
  consumer(options?: Partial<ConsumerOptions>, hooks?: Partial<ConsumerHooks>): WatchedConsumer
  stop(): Promise<void>
}

/** A topic of the test's own, without a database: for tests of the Kafka module alone. */
export async function createKafkaBed(
  brokers: string,
  options: { partitions?: number; config?: Record<string, string> } = {},
): Promise<KafkaBed> {
  const name = `kafka.${randomBytes(6).toString('hex')}`
  const base = { brokers: brokers.split(','), clientId: 'kafka-test', logger }
  const admin = createKafkaAdmin(base)
  const producer = createKafkaProducer(base)
  const consumers: WatchedConsumer[] = []
  await admin.start()
  await producer.start()
  const { partitions = 2, config = {} } = options
  await admin.createTopic({ topic: name, partitions, config })

  return {
    brokers,
    topic: name,
    groupId: name,
    admin,
    producer,
    async write(partition, values) {
      const records = values.map((value) => ({
        key: null,
        value: value === null ? null : Buffer.from(value),
      }))
      return (await producer.send(name, partition, records)).baseOffset
    },
    consumer(over = {}, hooks = {}) {
      const watched = watch({ ...defaults(base.brokers, name), ...over }, hooks)
      consumers.push(watched)
      return watched
    },
    async stop() {
      await Promise.all(consumers.map(async (consumer) => await consumer.stop()))
      await producer.stop()
      await admin.stop()
    },
  }
}

function defaults(brokers: string[], topic: string): Omit<ConsumerOptions, 'hooks'> {
  return {
    brokers,
    clientId: 'kafka-test',
    groupId: topic,
    topic,
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 500,
    rebalanceTimeoutMs: 6_000,
    maxBytesPerPartition: 1024 * 1024,
    maxWaitMs: 500,
    maxBytes: 16 * 1024 * 1024,
    logger,
  }
}

function watch(
  options: Omit<ConsumerOptions, 'hooks'>,
  over: Partial<ConsumerHooks>,
): WatchedConsumer {
  const records: SeenRecord[] = []
  const batches: FetchedBatch[] = []
  const events: string[] = []
  const next = new Map<number, number>()
  const owned = new Set<number>()
  const cursor = new RecordCursor()

  function read(fetched: FetchedBatch): void {
    batches.push(fetched)
    for (const batch of fetched.batches) {
      cursor.open(batch, fetched.fetchedOffset)
      while (cursor.next()) {
        const { offset } = cursor
        const key = text(cursor, cursor.keyStart, cursor.keyEnd)
        const value = text(cursor, cursor.valueStart, cursor.valueEnd)
        records.push({ partition: fetched.partition, offset, key, value })
      }
    }
    next.set(fetched.partition, fetched.nextOffset)
  }

  const consumer = createConsumer({
    ...options,
    hooks: {
      async onAssigned(added, all) {
        events.push(`assigned ${added.join(',')}`)
        for (const partition of added) owned.add(partition)
        const offsets = await over.onAssigned?.(added, all)
        return offsets ?? new Map(added.map((partition) => [partition, next.get(partition) ?? 0]))
      },
      onRevoked(partitions) {
        events.push(`revoked ${partitions.join(',')}`)
        for (const partition of partitions) owned.delete(partition)
        over.onRevoked?.(partitions)
      },
      async onBatch(batch) {
        read(batch)
        await over.onBatch?.(batch)
      },
      async onOutOfRange(partition, offset, why) {
        events.push(`out of range ${partition}@${offset}`)
        await over.onOutOfRange?.(partition, offset, why)
      },
    },
  })
  const values = (partition?: number): (string | null)[] =>
    records.flatMap((record) =>
      partition === undefined || record.partition === partition ? [record.value] : [],
    )
  return { ...consumer, records, batches, events, next, owned, values }
}

function text(cursor: RecordCursor, start: number, end: number): string | null {
  return start < 0 ? null : cursor.records.toString('utf8', start, end)
}
