import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { FetchedBatch } from './fetched-batch.ts'
import type { PartitionState } from './partition-state.ts'

export type DeliveryOptions = {
  readonly logger: Logger
  onBatch(batch: FetchedBatch): Promise<void>
  /** The state of a partition that is ours now. */
  current(partition: number): PartitionState | undefined
  /** False while our membership is in doubt: a zombie would only be fenced later. */
  isAlive(): boolean
  /** A partition has room for its next fetch. */
  onRoom(): void
}

/**
 * Hands fetched batches to their reader: one at a time of a partition, several partitions at the
 * same time, each start on a turn of the event loop of its own, so that sockets and timers are
 * served between two batches however long a reader computes.
 */
export type Delivery = {
  offer(state: PartitionState): void
  /** Resolves when no onBatch call of `partition` runs. */
  settled(partition: number): Promise<void>
  /** Starts nothing more; resolves when no onBatch call runs. */
  close(): Promise<void>
}

const aliveCheckMs = 100

export function createDelivery(options: DeliveryOptions): Delivery {
  const waiting: PartitionState[] = []
  const running = new Map<number, Promise<void>>()
  let scheduled = false
  let closed = false

  function schedule(): void {
    if (scheduled || closed || waiting.length === 0) return
    scheduled = true
    if (options.isAlive()) setImmediate(turn)
    else setTimeout(turn, aliveCheckMs)
  }

  function turn(): void {
    scheduled = false
    if (!closed && options.isAlive()) startNext()
    schedule()
  }

  function startNext(): void {
    const state = waiting.shift()
    const batch = state?.ready
    if (state === undefined || batch === undefined) return
    if (options.current(state.partition) !== state) return
    state.ready = undefined
    state.delivering = true
    if (batch.corrupt !== undefined) state.stopped = true
    options.onRoom()
    running.set(state.partition, deliver(state, batch))
  }

  async function deliver(state: PartitionState, batch: FetchedBatch): Promise<void> {
    const { partition } = state
    try {
      await options.onBatch(batch)
    } catch (error) {
      // The reader may have used a part of the batch: giving it again could count twice.
      state.stopped = true
      const fields = { partition, offset: batch.fetchedOffset, reason: messageOf(error) }
      options.logger.error(fields, 'processing a batch failed, the partition stops')
    }
    state.delivering = false
    running.delete(partition)
    const current = options.current(partition)
    if (current !== undefined) offer(current)
  }

  function offer(state: PartitionState): void {
    if (state.ready === undefined || running.has(state.partition)) return
    if (!waiting.includes(state)) waiting.push(state)
    schedule()
  }

  return {
    offer,
    async settled(partition) {
      await running.get(partition)
    },
    async close() {
      closed = true
      await Promise.all(running.values())
    },
  }
}
