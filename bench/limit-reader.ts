import { setTimeout as sleep } from 'node:timers/promises'
import { createConsumer } from '@countersink/shared/kafka/consumer'
import { createLogger } from '@countersink/shared/log'

/*
 * Reads a topic from its start to its end with our reader and does nothing with it. It fetches up to
 * 1 MiB of a partition, twice what the aggregator asks for unless told otherwise. Arguments: brokers, topic, group, records, events. Prints a line at its first
 * batch and one at the end, and stays until its standard input ends.
 */

const [brokers = '', topic = '', groupId = '', recordsText, eventsText] = process.argv.slice(2)
const records = Number(recordsText)
const POLL_MS = 2
const MEGABYTE = 1024 * 1024

let [read, startMs] = [0, 0]
const consumer = createConsumer({
  brokers: brokers.split(','),
  clientId: 'limit',
  groupId,
  topic,
  sessionTimeoutMs: 10_000,
  heartbeatIntervalMs: 2000,
  rebalanceTimeoutMs: 10_000,
  maxBytesPerPartition: MEGABYTE,
  maxBytes: 16 * MEGABYTE,
  maxWaitMs: 500,
  logger: createLogger('bench', 'silent'),
  hooks: {
    onAssigned: (added) => {
      // As ours: its time begins when it may fetch.
      if (startMs === 0) {
        startMs = performance.now()
        console.log(JSON.stringify({ at: 'first' }))
      }
      return Promise.resolve(new Map(added.map((partition) => [partition, 0])))
    },
    onRevoked: () => {},
    onBatch: (batch) => {
      for (const { count } of batch.batches) read += count
      return Promise.resolve()
    },
    onOutOfRange: () => Promise.reject(new Error('out of range')),
  },
})

await consumer.start()
while (read < records) await sleep(POLL_MS)
const seconds = (performance.now() - startMs) / 1000
console.log(JSON.stringify({ at: 'end', events: Number(eventsText), seconds }))
process.stdin.resume().once('end', () => process.exit(0))
