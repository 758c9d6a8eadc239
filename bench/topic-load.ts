import { createKafkaProducer, type ProducerRecord } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { partitionOf, recordKey } from '@countersink/shared/routing'
import {
  COUNTER,
  eventJson,
  keyName,
  KEYS,
  type LoadEvent,
  loadEvents,
  LoadOracle,
  type LoadOptions,
} from './loads.ts'

/** Records handed to the producer at once, over all partitions. */
const BATCH_RECORDS = 20_000

export type TopicLoad = {
  topic: string
  partitions: number
  bytes: number
  oracle: LoadOracle
  /** End offset of each partition. */
  ends: number[]
}

/** Writes a whole load to a topic that is empty, and knows afterwards what must be counted. */
export async function fillTopic(
  brokers: string,
  topic: string,
  partitions: number,
  options: LoadOptions,
): Promise<TopicLoad> {
  const ends = Array.from({ length: partitions }, () => 0)
  const load = { topic, partitions, bytes: 0, oracle: new LoadOracle(options), ends }
  await appendToTopic(brokers, load, loadEvents(options), options.events)
  return load
}

/** Takes `count` more events from a load that goes on, and writes them to its topic. */
export async function appendToTopic(
  brokers: string,
  load: TopicLoad,
  events: Iterator<LoadEvent>,
  count: number,
): Promise<void> {
  const { topic, partitions, oracle, ends } = load
  const producer = createKafkaProducer({
    brokers: brokers.split(','),
    clientId: 'bench-load',
    logger: createLogger('bench', 'silent'),
  })
  await producer.start()
  const keys = Array.from({ length: KEYS }, (_, i) => recordKey(COUNTER, keyName(i)))
  const places = keys.map((key) => partitionOf(key, partitions))
  let waiting = new Map<number, ProducerRecord[]>()
  let held = 0
  const flush = async (): Promise<void> => {
    const batches = waiting
    waiting = new Map()
    held = 0
    const results = await producer.sendBatch(topic, batches)
    for (const [partition, result] of results) {
      if (result instanceof Error) throw result
      ends[partition] = result.baseOffset + (batches.get(partition)?.length ?? 0)
    }
  }
  let sending = Promise.resolve()
  for (let i = 0; i < count; i++) {
    const { value: event, done } = events.next()
    if (done === true) break
    oracle.add(event)
    const value = Buffer.from(eventJson(event))
    load.bytes += value.length
    const partition = places[event.key] ?? 0
    const records = waiting.get(partition)
    const record = { key: keys[event.key] ?? null, value }
    if (records === undefined) waiting.set(partition, [record])
    else records.push(record)
    if (++held < BATCH_RECORDS) continue
    // One batch is on its way while the next is made.
    await sending
    sending = flush()
  }
  await sending
  await flush()
  await producer.stop()
}
