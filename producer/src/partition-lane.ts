import type { BulkRecord } from './bulk-record.ts'
import { createFifo } from './fifo.ts'
import type { Pending } from './pending.ts'
import type { EncodedBatch } from './record-encoder.ts'

/** The events of one partition: those that wait, and the one batch that is on its way. */
export type PartitionLane = {
  readonly partition: number
  /** Bytes that wait, without those of the batch. */
  readonly bytes: number
  readonly length: number
  /** What is on its way, or will be sent again: a lane has one batch at a time, to keep its order. */
  batch: EncodedBatch | undefined
  isBusy: boolean
  /** After a failure nothing is sent before this, on the monotonic clock. */
  heldUntilMs: number
  wake: NodeJS.Timeout | undefined
  /** What bulk calls write to; undefined when the next one has to begin another. */
  record: BulkRecord | undefined
  push: (pending: Pending) => void
  /** What is in the queue has become larger. */
  grow: (bytes: number) => void
  remove: (pending: Pending) => void
  /** The next batch, at most `bytesMax` unless one event or record alone is larger. */
  take: (bytesMax: number) => Pending[]
  putBack: (batch: readonly Pending[]) => void
  /** The one that waits longest. */
  head: () => Pending | undefined
  /** Empties the lane, and gives all that waited or is on its way. */
  clear: () => Pending[]
}

export function createPartitionLane(partition: number): PartitionLane {
  const queue = createFifo<Pending>()
  let bytes = 0

  const lane: PartitionLane = {
    partition,
    batch: undefined,
    isBusy: false,
    heldUntilMs: 0,
    wake: undefined,
    record: undefined,
    get bytes() {
      return bytes
    },
    get length() {
      return queue.length
    },
    push(pending) {
      // A record that is still written to must not pass what comes after it.
      if (pending.record !== lane.record) lane.record = undefined
      pending.place = 'lane'
      queue.push(pending)
      bytes += pending.bytes
    },
    grow(more) {
      bytes += more
    },
    remove(pending) {
      // Without its parts a record is not sent, unless somebody else's are in it.
      if (pending.record === lane.record) lane.record = undefined
      queue.remove(pending)
      bytes -= pending.bytes
    },
    take(bytesMax) {
      const batch: Pending[] = []
      let size = 0
      let room = bytesMax
      let record: BulkRecord | undefined
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        // A record is sent whole, so its first part is weighed with what all of them are together, and
        // the others go with it.
        const isWeighed = next.record !== undefined && next.record === record
        if (!isWeighed) room -= next.record?.byteLength ?? next.bytes
        if (!isWeighed && batch.length > 0 && room < 0) break
        size += next.bytes
        record = next.record
        next.place = 'flight'
        batch.push(next)
        queue.shift()
      }
      if (record === lane.record) lane.record = undefined
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
      const all = [...(lane.batch?.pendings ?? []), ...queue.items()]
      queue.clear()
      bytes = 0
      clearTimeout(lane.wake)
      return all
    },
  }
  return lane
}
