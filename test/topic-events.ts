import { randomUUID } from 'node:crypto'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import { createConsumer } from '@countersink/shared/kafka/consumer'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { createLogger } from '@countersink/shared/log'
import { parseRecordEvents, type RecordEncoding } from '@countersink/shared/record-parser'
import type { WrittenEvent } from './log-writer.ts'
import { waitFor } from './stack.ts'

/** An event as it stands in the log: in a record of its own, or with others in one. */
export type TopicEvent = WrittenEvent & {
  /** Its place in its record. */
  index: number
  encoding: RecordEncoding
  /** Of the record. */
  key: string | null
}

/** All events of a topic up to its end, by partition and place; each of them must be valid. */
export async function readTopic(bed: { brokers: string; topic: string }): Promise<TopicEvent[]> {
  const { topic } = bed
  const logger = createLogger('topic-events', 'error')
  const base = { brokers: bed.brokers.split(','), clientId: 'topic-events', logger }
  const admin = createKafkaAdmin(base)
  const ends = await admin.endOffsets(topic)
  await admin.stop()
  const next = new Map<number, number>()
  const events: TopicEvent[] = []
  const cursor = new RecordCursor()
  const consumer = createConsumer({
    ...base,
    topic,
    groupId: `topic-events-${randomUUID()}`,
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 500,
    rebalanceTimeoutMs: 6_000,
    maxBytesPerPartition: 1024 * 1024,
    maxWaitMs: 500,
    maxBytes: 16 * 1024 * 1024,
    hooks: {
      onAssigned: async (added) => new Map(added.map((partition) => [partition, 0])),
      onRevoked: () => undefined,
      onOutOfRange: async () => undefined,
      async onBatch({ partition, fetchedOffset, nextOffset, batches }) {
        for (const batch of batches) {
          cursor.open(batch, fetchedOffset)
          while (cursor.next()) {
            for (const event of eventsAt(cursor)) events.push({ ...event, partition })
          }
        }
        next.set(partition, nextOffset)
      },
    },
  })
  await consumer.start()
  try {
    const isRead = (): boolean => [...ends].every(([p, end]) => (next.get(p) ?? 0) >= end)
    await waitFor(isRead, { what: 'the whole topic' })
  } finally {
    await consumer.stop()
  }
  return events.toSorted(
    (a, b) => a.partition - b.partition || a.offset - b.offset || a.index - b.index,
  )
}

function eventsAt(cursor: RecordCursor): Omit<TopicEvent, 'partition'>[] {
  const { offset, timestampMs: appendTimeMs, keyStart, keyEnd, records } = cursor
  const key = keyStart < 0 ? null : records.toString('utf8', keyStart, keyEnd)
  const { encoding, events } = parseRecordEvents(cursor)
  return events.map((parsed, index) => {
    if (!parsed.ok) throw new Error(`offset ${offset}, event ${index}: ${parsed.reason}`)
    const { dims, ...fields } = parsed.event
    const event = dims === undefined ? fields : { ...fields, dims: Object.fromEntries(dims) }
    return { event, offset, index, appendTimeMs, encoding, key }
  })
}
