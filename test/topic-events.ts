import { inputOf, type Parsed } from '@countersink/shared/event'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { createTopicReader } from '@countersink/shared/kafka/topic-reader'
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
  const seen: SeenEvent[] = []
  const cursor = new RecordCursor()
  const reader = createTopicReader({
    ...base,
    topic,
    starts: new Map([...ends.keys()].map((partition) => [partition, 0])),
    async onBatch({ partition, fetchedOffset, nextOffset, batches }) {
      for (const batch of batches) {
        cursor.open(batch, fetchedOffset)
        while (cursor.next()) {
          for (const event of eventsAt(cursor)) seen.push({ ...event, partition })
        }
      }
      next.set(partition, nextOffset)
    },
    onOutOfRange: () => undefined,
  })
  reader.start()
  try {
    const isRead = (): boolean => [...ends].every(([p, end]) => (next.get(p) ?? 0) >= end)
    await waitFor(isRead, { what: 'the whole topic' })
  } finally {
    await reader.stop()
  }
  return seen
    .map(validEvent)
    .toSorted((a, b) => a.partition - b.partition || a.offset - b.offset || a.index - b.index)
}

type SeenEvent = Omit<TopicEvent, 'event'> & { parsed: Parsed }

function eventsAt(cursor: RecordCursor): Omit<SeenEvent, 'partition'>[] {
  const { offset, timestampMs: appendTimeMs, keyStart, keyEnd, records } = cursor
  const key = keyStart < 0 ? null : records.toString('utf8', keyStart, keyEnd)
  const { encoding, events } = parseRecordEvents(cursor)
  return events.map((parsed, index) => {
    return { parsed, offset, index, appendTimeMs, encoding, key }
  })
}

function validEvent({ parsed, ...place }: SeenEvent): TopicEvent {
  const { offset, index } = place
  if (!parsed.ok) throw new Error(`offset ${offset}, event ${index}: ${parsed.reason}`)
  return { ...place, event: inputOf(parsed.event) }
}
