import { createKafkaProducer } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { homePartition, recordHash, recordKey } from '@countersink/shared/routing'
import type { OracleEvent } from './oracle/oracle.ts'

export type WrittenEvent = {
  event: OracleEvent
  partition: number
  offset: number
  appendTimeMs: number
}

export type LogWriter = {
  /** Appends events as JSON to the partitions they belong to; resolves when the broker has them. */
  write(events: readonly OracleEvent[]): Promise<WrittenEvent[]>
  /** Appends values to one partition as they are. */
  writeRaw(partition: number, values: readonly (Buffer | null)[]): Promise<number>
  stop(): Promise<void>
}

/** Writes to a topic as a foreign producer would, and remembers what went where for the oracle. */
export async function createLogWriter(brokers: string, topic: string): Promise<LogWriter> {
  const producer = createKafkaProducer({
    brokers: brokers.split(','),
    clientId: 'test-writer',
    logger: createLogger('test-writer', 'warn'),
  })
  await producer.start()
  const partitions = await producer.partitions(topic)

  return {
    async write(events) {
      const byPartition = new Map<number, OracleEvent[]>()
      for (const event of events) {
        const partition = homePartition(recordHash(event.counter, event.key), partitions)
        byPartition.set(partition, [...(byPartition.get(partition) ?? []), event])
      }
      const sends = [...byPartition].map(async ([partition, some]) => {
        const records = some.map((event) => ({
          key: recordKey(event.counter, event.key),
          value: Buffer.from(JSON.stringify(event)),
        }))
        const { baseOffset, logAppendTimeMs } = await producer.send(topic, partition, records)
        return some.map((event, i) => ({
          event,
          partition,
          offset: baseOffset + i,
          appendTimeMs: logAppendTimeMs,
        }))
      })
      return (await Promise.all(sends)).flat()
    },
    async writeRaw(partition, values) {
      const records = values.map((value) => ({ key: null, value }))
      return (await producer.send(topic, partition, records)).baseOffset
    },
    stop: async () => await producer.stop(),
  }
}
