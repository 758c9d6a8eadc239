import { createFifo } from './fifo.ts'
import type { PendingEvent } from './pending-event.ts'

/** The events of one partition: those that wait, and the one batch that is on its way. */
export type PartitionLane = {
  readonly partition: number
  /** Bytes that wait, without those on their way. */
  readonly bytes: number
  readonly length: number
  /** What is on its way; a lane sends one batch at a time, so that order holds through retries. */
  inFlight: readonly PendingEvent[]
  /** After a failure nothing is sent before this, on the monotonic clock. */
  heldUntilMs: number
  wake: NodeJS.Timeout | undefined
  push: (pending: PendingEvent) => void
  remove: (pending: PendingEvent) => void
  /** The next batch, at most `bytesMax` unless one event alone is larger. */
  take: (bytesMax: number) => PendingEvent[]
  putBack: (batch: readonly PendingEvent[]) => void
  /** The one that waits longest. */
  head: () => PendingEvent | undefined
  /** Empties the lane, and gives all that waited or is on its way. */
  clear: () => PendingEvent[]
}

export function createPartitionLane(partition: number): PartitionLane {
  const queue = createFifo<PendingEvent>()
  let bytes = 0

  const lane: PartitionLane = {
    partition,
    inFlight: [],
    heldUntilMs: 0,
    wake: undefined,
    get bytes() {
      return bytes
    },
    get length() {
      return queue.length
    },
    push(pending) {
      pending.place = 'lane'
      queue.push(pending)
      bytes += pending.bytes
    },
    remove(pending) {
      queue.remove(pending)
      bytes -= pending.bytes
    },
    take(bytesMax) {
      const batch: PendingEvent[] = []
      let size = 0
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        if (batch.length > 0 && size + next.bytes > bytesMax) break
        size += next.bytes
        next.place = 'flight'
        batch.push(next)
        queue.shift()
      }
      bytes -= size
      return batch
    },
    putBack(batch) {
      queue.unshift(batch)
      for (const pending of batch) {
        pending.place = 'lane'
        bytes += pending.bytes
      }
    },
    head: () => queue.peek(),
    clear() {
      const all = [...lane.inFlight, ...queue.items()]
      queue.clear()
      bytes = 0
      clearTimeout(lane.wake)
      return all
    },
  }
  return lane
}
