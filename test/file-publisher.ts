import { createProducer } from '@countersink/producer/producer'
import type { OracleEvent } from './oracle/oracle.ts'
import type { TestBed } from './stack.ts'

/** Publishes a list of events through the SDK, in order and no faster than it is let. */
export type FilePublisher = {
  /** Publishes up to that number of events, a few at a time; resolves when all are acknowledged. */
  publishTo(count: number): Promise<void>
  /** Events that are in the log for sure. */
  acknowledged(): number
  stop(): Promise<void>
}

/** Few at a time: the next ones wait for the acknowledgement, so that counting goes on meanwhile. */
const EVENTS_PER_FLUSH = 200

export async function createFilePublisher(
  bed: Pick<TestBed, 'brokers' | 'topic'>,
  events: readonly OracleEvent[],
  format: 'packed' | 'json',
): Promise<FilePublisher> {
  const producer = createProducer({ brokers: bed.brokers.split(','), topic: bed.topic, format })
  await producer.start()
  let acknowledged = 0
  return {
    async publishTo(count) {
      while (acknowledged < count) {
        const end = Math.min(count, acknowledged + EVENTS_PER_FLUSH)
        await Promise.all(events.slice(acknowledged, end).map((event) => producer.add(event)))
        acknowledged = end
      }
    },
    acknowledged: () => acknowledged,
    async stop() {
      await producer.stop()
    },
  }
}
