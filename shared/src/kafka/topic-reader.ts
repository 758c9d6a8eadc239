import type { Logger } from '../log.ts'
import { createDelivery } from './delivery.ts'
import type { FetchedBatch } from './fetched-batch.ts'
import { createPartitionState, movePartition } from './partition-state.ts'
import { createReader, type OutOfRange } from './reader.ts'

const maxWaitMs = 500
const maxBytesPerPartition = 1024 * 1024
const maxBytes = 16 * 1024 * 1024

export type TopicReaderOptions = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly topic: string
  /** The partitions to read and the offset to begin at in each. */
  readonly starts: ReadonlyMap<number, number>
  readonly logger: Logger
  /** One at a time of a partition; must not reject. A batch with `corrupt` is its partition's last. */
  onBatch(batch: FetchedBatch): Promise<void>
  /** The partition is read no further. */
  onOutOfRange(partition: number, offset: number, why: OutOfRange): void
}

/**
 * Reads committed data of some partitions without a consumer group, so that nobody else notices. It
 * keeps trying while brokers are away; lastFetchAt says since when.
 */
export type TopicReader = {
  start(): void
  /** Bounded, idempotent. */
  stop(): Promise<void>
  /** Reads no more of that partition; the others go on. */
  finish(partition: number): void
  /** When a fetch last succeeded, epoch milliseconds; 0 before the first. */
  lastFetchAt(): number
}

export function createTopicReader(options: TopicReaderOptions): TopicReader {
  const states = new Map(
    [...options.starts].map(([partition, offset]) => {
      const state = createPartitionState(partition)
      movePartition(state, offset)
      return [partition, state] as const
    }),
  )
  const current = (partition: number) => states.get(partition)
  const delivery = createDelivery({
    logger: options.logger,
    current,
    onBatch: async (batch) => await options.onBatch(batch),
    isAlive: () => true,
    onRoom: () => reader.wake(),
  })
  const reader = createReader({
    ...options,
    maxWaitMs,
    maxBytesPerPartition,
    maxBytes,
    states: () => states.values(),
    current,
    onReady: (state) => delivery.offer(state),
    onOutOfRange: ({ partition }, offset, why) => options.onOutOfRange(partition, offset, why),
    onPartitionCount: () => undefined,
  })
  let stopping: Promise<void> | undefined

  async function stop(): Promise<void> {
    await Promise.all([delivery.close(), reader.stop()])
  }

  return {
    start: () => reader.start(),
    async stop() {
      stopping ??= stop()
      await stopping
    },
    finish: (partition) => void states.delete(partition),
    lastFetchAt: () => reader.lastFetchAt(),
  }
}
