import { createConsumer } from '@countersink/shared/kafka/consumer'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { createLogger } from '@countersink/shared/log'

/*
 * A group member in a process of its own, so that a test can stop and continue it. It says on
 * stdout what happens to it: `assigned 0,1`, `revoked 0`, `batch 0 VALUE`.
 */

const [brokers = '', topic = '', sessionTimeout = '', soleName] = process.argv.slice(2)
const sessionTimeoutMs = Number(sessionTimeout)
const cursor = new RecordCursor()

const consumer = createConsumer({
  brokers: brokers.split(','),
  clientId: 'kafka-reader',
  groupId: topic,
  topic,
  sessionTimeoutMs,
  heartbeatIntervalMs: sessionTimeoutMs / 5,
  rebalanceTimeoutMs: Math.max(6_000, sessionTimeoutMs),
  soleName,
  maxBytesPerPartition: 1024 * 1024,
  maxWaitMs: 500,
  maxBytes: 16 * 1024 * 1024,
  logger: createLogger('kafka-reader', 'silent'),
  hooks: {
    async onAssigned(added) {
      console.log(`assigned ${added.join(',')}`)
      return new Map(added.map((partition) => [partition, 0]))
    },
    onRevoked(partitions) {
      console.log(`revoked ${partitions.join(',')}`)
    },
    async onBatch({ partition, fetchedOffset, batches }) {
      for (const batch of batches) {
        cursor.open(batch, fetchedOffset)
        while (cursor.next()) {
          const value = cursor.records.toString('utf8', cursor.valueStart, cursor.valueEnd)
          console.log(`batch ${partition} ${value}`)
        }
      }
    },
    async onOutOfRange() {},
  },
})

await consumer.start()
