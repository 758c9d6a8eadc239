import { Kafka, logLevel } from 'kafkajs'

/** 1 MiB of compressed records in a batch: Kafka's default, stated because clients count on it. */
const MESSAGE_BYTES_MAX = 1_048_588
/** A bound for a log that time does not end; 8 GiB are some hundred million small events. */
const RETENTION_BYTES_PER_PARTITION = 8 * 1024 ** 3

/**
 * Append time and deletion are what counting needs (never compaction). Time ends nothing: a rebuild
 * and a reconcile read the log from its start, and a stack that lay unused for a month would
 * otherwise delete at its first start what it had kept; only size does, far out.
 */
export const TOPIC_CONFIG = {
  'message.timestamp.type': 'LogAppendTime',
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': String(RETENTION_BYTES_PER_PARTITION),
  'max.message.bytes': String(MESSAGE_BYTES_MAX),
} as const

/** Makes the topic when it is not there; one that is there stays as it is. */
export async function ensureTopic(
  brokers: string,
  topic: string,
  partitions: number,
  say: (line: string) => void,
): Promise<void> {
  const kafka = new Kafka({
    brokers: brokers.split(','),
    clientId: 'local',
    logLevel: logLevel.NOTHING,
  })
  const admin = kafka.admin()
  await admin.connect()
  try {
    const configEntries = Object.entries(TOPIC_CONFIG).map(([name, value]) => ({ name, value }))
    const made = await admin.createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
      waitForLeaders: true,
    })
    if (made) say(`  topic         ${topic} made, ${partitions} partitions`)
  } finally {
    await admin.disconnect()
  }
}
