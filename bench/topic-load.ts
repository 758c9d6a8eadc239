import {
  createKafkaProducer,
  type KafkaProducer,
  type ProducerRecord,
} from '@countersink/shared/kafka/producer'
import { BATCH_BYTES_MAX } from '@countersink/shared/kafka/producer-lane'
import { createLogger } from '@countersink/shared/log'
import { homePartition, partitionHash, recordKey } from '@countersink/shared/routing'
import { LoadOracle } from './load-oracle.ts'
import {
  COUNTER,
  eventJson,
  keyName,
  type LoadEvent,
  loadEvents,
  type LoadOptions,
} from './loads.ts'
import { PackedTopic } from './packed-topic.ts'

/** Bytes handed to the producer at once, over all partitions. */
const BATCH_BYTES = 3 * 1024 * 1024
/** Beside its key and value, roughly. */
const RECORD_BYTES = 16

export type Encoding = 'json' | 'packed'

export type TopicLoad = {
  topic: string
  encoding: Encoding
  partitions: number
  /** Copies included: JSON and packed topics of one load have the same events but other copies. */
  events: number
  copies: number
  /** Of the records' values. */
  bytes: number
  oracle: LoadOracle
  /** End offset of each partition. */
  ends: number[]
}

export type TopicOptions = {
  brokers: string
  topic: string
  encoding: Encoding
  partitions: number
  load: LoadOptions
  /** Of the same load, complete already. */
  oracle?: LoadOracle
}

/** A topic without events, for appendToTopic. */
export function emptyTopic(options: TopicOptions): TopicLoad {
  const { topic, encoding, partitions } = options
  const ends = Array.from({ length: partitions }, () => 0)
  const oracle = options.oracle ?? new LoadOracle(options.load)
  return { topic, encoding, partitions, events: 0, copies: 0, bytes: 0, oracle, ends }
}

/** Writes a whole load to a topic that is empty, and knows afterwards what must be counted. */
export async function fillTopic(options: TopicOptions): Promise<TopicLoad> {
  const load = emptyTopic(options)
  const { events } = options.load
  await appendToTopic(options, load, loadEvents(options.load), events)
  return load
}

/**
 * Takes `count` more events from a load that goes on, and writes them to its topic. The packed ones
 * repeat whole records instead of the single events that the load repeats: as many in all.
 */
export async function appendToTopic(
  options: TopicOptions,
  load: TopicLoad,
  events: Iterator<LoadEvent>,
  count: number,
): Promise<void> {
  const { shape } = options.load
  const producer = createKafkaProducer({
    brokers: options.brokers.split(','),
    clientId: 'bench-load',
    logger: createLogger('bench', 'silent'),
  })
  await producer.start()
  const writer = new TopicWriter(producer, load)
  const names = new KeyNames(load.partitions)
  const packed = new PackedTopic(load.partitions, shape.copyDistanceMax, (partition, record) => {
    load.events += record.events
    if (record.copy) load.copies += record.events
    writer.add(partition, record)
  })
  for (let i = 0; i < count; i++) {
    const { value: event, done } = events.next()
    if (done === true) break
    if (options.oracle === undefined) load.oracle.add(event)
    const { key, partition } = names.of(event.key)
    if (load.encoding === 'json') {
      load.events++
      if (event.copy) load.copies++
      writer.add(partition, { key, value: Buffer.from(eventJson(event)) })
    } else if (!event.copy) packed.add(partition, keyName(event.key), event)
    if (writer.isFull) await writer.flush()
  }
  packed.finish()
  await writer.flush()
  await writer.sent()
  await producer.stop()
}

/** Record key and partition of each key number, made at the first use of each. */
class KeyNames {
  readonly #partitions: number
  readonly #known: { key: Buffer; partition: number }[] = []

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  of(number: number): { key: Buffer; partition: number } {
    const known = this.#known[number]
    if (known !== undefined) return known
    const key = recordKey(COUNTER, keyName(number))
    const made = { key, partition: homePartition(partitionHash(key), this.#partitions) }
    this.#known[number] = made
    return made
  }
}

class TopicWriter {
  readonly #producer: KafkaProducer
  readonly #load: TopicLoad
  #waiting = new Map<number, { records: ProducerRecord[]; bytes: number }>()
  #bytes = 0
  #largest = 0
  #sending = Promise.resolve()

  constructor(producer: KafkaProducer, load: TopicLoad) {
    this.#producer = producer
    this.#load = load
  }

  get isFull(): boolean {
    return this.#bytes >= BATCH_BYTES || this.#largest >= BATCH_BYTES_MAX
  }

  add(partition: number, record: ProducerRecord): void {
    const value = record.value?.length ?? 0
    const bytes = value + (record.key?.length ?? 0) + RECORD_BYTES
    const batch = this.#waiting.get(partition) ?? { records: [], bytes: 0 }
    this.#waiting.set(partition, batch)
    batch.records.push(record)
    batch.bytes += bytes
    this.#load.bytes += value
    this.#bytes += bytes
    this.#largest = Math.max(this.#largest, batch.bytes)
  }

  /** One batch is on its way while the next is made. */
  async flush(): Promise<void> {
    const batches = new Map([...this.#waiting].map(([p, { records }]) => [p, records]))
    this.#waiting = new Map()
    this.#bytes = 0
    this.#largest = 0
    await this.#sending
    this.#sending = this.#send(batches)
    // Whoever waits for it next gets the error; until then nobody does.
    this.#sending.catch(() => {})
  }

  sent(): Promise<void> {
    return this.#sending
  }

  async #send(batches: ReadonlyMap<number, ProducerRecord[]>): Promise<void> {
    const results = await this.#producer.sendBatch(this.#load.topic, batches)
    for (const [partition, result] of results) {
      if (result instanceof Error) throw result
      this.#load.ends[partition] = result.baseOffset + (batches.get(partition)?.length ?? 0)
    }
  }
}
