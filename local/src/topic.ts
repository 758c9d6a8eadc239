import { createKafkaAdmin, type KafkaAdmin } from '@countersink/shared/kafka/admin'
import { ensureRoutingTopic } from '@countersink/shared/kafka/routing-topic'
import { createLogger } from '@countersink/shared/log'

/** 1 MiB of compressed records in a batch: Kafka's default, stated because clients count on it. */
const MESSAGE_BYTES_MAX = 1_048_588
/** A bound for a log that time does not end; 8 GiB are some hundred million small events. */
const RETENTION_BYTES_PER_PARTITION = 8 * 1024 ** 3

/**
 * Append time and deletion are what counting needs (never compaction). Time ends nothing: a rebuild
 * and a reconcile read the log from its start, and a stack that lay unused for a month would
 * otherwise delete at its first start what it had kept; only size does, far out.
 */
const TOPIC_CONFIG = {
  'message.timestamp.type': 'LogAppendTime',
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': String(RETENTION_BYTES_PER_PARTITION),
  'max.message.bytes': String(MESSAGE_BYTES_MAX),
} as const

/**
 * Makes the topic when it is not there, with leaders for all its partitions; one that is there
 * stays as it is. True when it was made. Throws KAFKA_UNAVAILABLE when no broker answers.
 */
export async function ensureTopic(
  brokers: readonly string[],
  topic: string,
  partitions: number,
): Promise<boolean> {
  return withAdmin(brokers, (admin) =>
    admin.createTopic({ topic, partitions, config: TOPIC_CONFIG }),
  )
}

/** Makes the topic of the routing versions, as an aggregator would that does not find it. */
export async function ensureRouting(brokers: readonly string[], topic: string): Promise<void> {
  await withAdmin(brokers, (admin) => ensureRoutingTopic(admin, topic))
}

/** One question or change through a short-lived connection. */
export async function withAdmin<T>(
  brokers: readonly string[],
  work: (admin: KafkaAdmin) => Promise<T>,
): Promise<T> {
  const logger = createLogger('local', 'silent')
  const admin = createKafkaAdmin({ brokers: [...brokers], clientId: 'countersink-local', logger })
  await admin.start()
  try {
    return await work(admin)
  } finally {
    await admin.stop()
  }
}
