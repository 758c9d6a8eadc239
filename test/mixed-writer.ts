import { createKafkaProducer } from '@countersink/shared/kafka/producer'
import type { ProducerRecord } from '@countersink/shared/kafka/record-batch-encoder'
import { createLogger } from '@countersink/shared/log'
import { packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { homePartition, recordHash } from '@countersink/shared/routing'
import { parseSdkId } from '@countersink/shared/sdk-id'
import type { OracleEvent } from './oracle/oracle.ts'
import type { Written } from './tally.ts'

export type MixedWriter = {
  /** Appends events to the partitions they belong to, some as JSON, some packed in various ways. */
  write(events: readonly OracleEvent[]): Promise<Written[]>
  stop(): Promise<void>
}

/** Of an SDK's ids a packed record may say the parts, or the whole text as of any other. */
const ENCODINGS = ['packed', 'json', 'packed', 'packed raw', 'damaged'] as const
type Encoding = (typeof ENCODINGS)[number]
/** Events a record, one after the other. */
const LENGTHS = [1, 40, 7, 300, 2, 90]

const byName = ([a]: [string, string], [b]: [string, string]): number => (a < b ? -1 : 1)

type Part = { record: ProducerRecord; events: (OracleEvent | undefined)[] }

/** Writes JSON and packed records in turn, and now and then a damaged one, into the same partitions. */
export async function createMixedWriter(brokers: string, topic: string): Promise<MixedWriter> {
  const producer = createKafkaProducer({
    brokers: brokers.split(','),
    clientId: 'test-mixed-writer',
    logger: createLogger('test-mixed-writer', 'warn'),
    compression: 'lz4',
  })
  await producer.start()
  const partitions = await producer.partitions(topic)
  const packer = new PackedWriter()
  let turn = 0

  function pack(events: readonly OracleEvent[], encoding: Encoding): ProducerRecord {
    for (const { id, counter, key, dims, at, delta } of events) {
      const sorted = new Map(Object.entries(dims ?? {}).toSorted(byName))
      const made = encoding === 'packed raw' ? undefined : parseSdkId(id)
      if (made === undefined) packer.addRaw(id, counter, key, sorted, at, delta)
      else packer.addMade(made.session, made.lane, made.sequence, counter, key, sorted, at, delta)
    }
    const value = packer.finish()
    if (encoding === 'damaged') value[value.length - 1]! ^= 1
    return { key: null, value, headers: [...packedHeaders] }
  }

  /** A damaged record's events follow again: whoever wrote it tries once more. */
  function partsOf(events: readonly OracleEvent[]): Part[] {
    const parts: Part[] = []
    for (let at = 0; at < events.length; turn++) {
      const encoding = ENCODINGS[turn % ENCODINGS.length]!
      const some = events.slice(at, at + LENGTHS[turn % LENGTHS.length]!)
      if (encoding === 'json') {
        for (const event of some) {
          const value = Buffer.from(JSON.stringify(event))
          parts.push({ record: { key: null, value }, events: [event] })
        }
      } else {
        parts.push({
          record: pack(some, encoding),
          events: encoding === 'damaged' ? [undefined] : some,
        })
      }
      if (encoding !== 'damaged') at += some.length
    }
    return parts
  }

  return {
    async write(events) {
      const byPartition = Map.groupBy(events, ({ counter, key }) =>
        homePartition(recordHash(counter, key), partitions),
      )
      const sends = [...byPartition].map(async ([partition, some]) => {
        const parts = partsOf(some)
        const records = parts.map(({ record }) => record)
        const { baseOffset, logAppendTimeMs: appendTimeMs } = await producer.send(
          topic,
          partition,
          records,
        )
        return parts.flatMap(({ events: held }, i) =>
          held.map((event, index) => {
            return { event, partition, offset: baseOffset + i, index, appendTimeMs }
          }),
        )
      })
      return (await Promise.all(sends)).flat()
    },
    stop: async () => await producer.stop(),
  }
}
