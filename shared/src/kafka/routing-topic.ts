import { randomUUID } from 'node:crypto'
import { ROUTING_FORMAT, type RoutingRecord } from '../routing-table.ts'
import type { KafkaAdmin } from './admin.ts'
import type { ProducerRecord } from './record-batch-encoder.ts'

/** Where the routing versions of a topic's events stand. */
export function routingTopicOf(topic: string): string {
  return `${topic}.routing`
}

/**
 * Append time is what a version's notice is measured from. Compaction, with a key of its own for
 * each record, deletes nothing: who reads the topic later must see the same versions win.
 */
const CONFIG = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
} as const

/** Makes the routing topic if it is not there; true when it was made. */
export async function ensureRoutingTopic(
  admin: Pick<KafkaAdmin, 'createTopic'>,
  topic: string,
): Promise<boolean> {
  return await admin.createTopic({ topic: routingTopicOf(topic), partitions: 1, config: CONFIG })
}

/** A version as it is written. Its key is its own, so that no later one makes compaction drop it. */
export function routingRecord(version: Omit<RoutingRecord, 'format'>): ProducerRecord {
  const key = `${version.topicId}/${version.version}/${randomUUID()}`
  const value = JSON.stringify({ format: ROUTING_FORMAT, ...version })
  return { key: Buffer.from(key), value: Buffer.from(value) }
}
