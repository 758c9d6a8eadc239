import type { CountersinkError } from '../errors.ts'
import { recordBytesMax, type ProducerRecord, type ProducerStamp } from './record-batch-encoder.ts'

/** What waits is joined to one batch up to this: the broker's default limit is 1,048,588. */
export const BATCH_BYTES_MAX = 900_000
const SEQUENCE_SPACE = 0x8000_0000

export type Delivered = {
  /** The offset of the first record; -1 when only known to be in the log, but not where. */
  readonly baseOffset: number
  /** The time that the log gave the records, -1 when it keeps the producer's times. */
  readonly logAppendTimeMs: number
}

/** One batch on its way; the same records and stamp at every try. */
export type Attempt = {
  readonly lane: Lane
  readonly records: readonly ProducerRecord[]
  readonly stamp: ProducerStamp
}

type Send = {
  readonly records: readonly ProducerRecord[]
  readonly bytes: number
  readonly deadlineMs: number
  resolve(delivered: Delivered): void
  reject(error: CountersinkError): void
}

/** The queue of one partition, with its place in the sequence of what the producer wrote there. */
export type Lane = {
  readonly topic: string
  readonly partition: number
  /** A request with its batch is under way. */
  busy: boolean
  /** Tries of the current batch that failed. */
  readonly failures: number
  add(
    records: readonly ProducerRecord[],
    deadlineMs: number,
  ): { bytes: number; delivered: Promise<Delivered> }
  hasWork(): boolean
  nextBytes(): number
  /** The batch to send next, unchanged if it was tried before; `producerId` is for a new one. */
  take(producerId: bigint): Attempt | undefined
  succeed(baseOffset: number, logAppendTimeMs: number): void
  fail(error: CountersinkError): void
  /** Tries a batch that was joined from several sends apart from now on; false for a single one. */
  split(): boolean
  /** The broker does not know our sequence: the batch is sent as the first of a new producer. */
  forgetStamp(): void
  /** Fails what is past its deadline; true if that leaves the sequence in doubt. */
  expire(nowMs: number, error: CountersinkError): boolean
  /** Not before `delayMs`; then `wake` is called. */
  holdBack(delayMs: number, wake: () => void): void
  close(error: CountersinkError): void
}

export function createLane(topic: string, partition: number): Lane {
  let queue: Send[] = []
  let batch: Send[] = []
  let stamp: ProducerStamp | undefined
  let producerId: bigint | undefined
  let sequence = 0
  let failures = 0
  let joinMax = Number.POSITIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  function join(): Send[] {
    let bytes = 0
    let count = 0
    for (const send of queue) {
      if (count > 0 && (bytes + send.bytes > BATCH_BYTES_MAX || count >= joinMax)) break
      bytes += send.bytes
      count++
    }
    return queue.splice(0, count)
  }

  function reset(): void {
    batch = []
    stamp = undefined
    failures = 0
  }

  const lane: Lane = {
    topic,
    partition,
    busy: false,
    get failures() {
      return failures
    },
    add(records, deadlineMs) {
      const bytes = records.reduce((sum, record) => sum + recordBytesMax(record), 0)
      const { promise, resolve, reject } = Promise.withResolvers<Delivered>()
      queue.push({ records, bytes, deadlineMs, resolve, reject })
      return { bytes, delivered: promise }
    },
    hasWork: () => !lane.busy && timer === undefined && queue.length + batch.length > 0,
    nextBytes() {
      const next = batch.length > 0 ? batch : queue
      const bytes = next.reduce((sum, send) => sum + send.bytes, 0)
      return Math.min(bytes, Math.max(BATCH_BYTES_MAX, next[0]?.bytes ?? 0))
    },
    take(newProducerId) {
      if (batch.length === 0) batch = join()
      if (batch.length === 0) return undefined
      if (producerId === undefined) {
        producerId = newProducerId
        sequence = 0
      }
      stamp ??= { producerId, epoch: 0, sequence }
      const records = batch.length === 1 ? batch[0]?.records : batch.flatMap((send) => send.records)
      return { lane, records: records ?? [], stamp }
    },
    succeed(baseOffset, logAppendTimeMs) {
      let offset = baseOffset
      for (const send of batch) {
        send.resolve({ baseOffset: offset, logAppendTimeMs })
        if (offset >= 0) offset += send.records.length
        // Sequence numbers are 31 bits and start again at 0, as the broker expects.
        sequence = (sequence + send.records.length) % SEQUENCE_SPACE
      }
      joinMax = Number.POSITIVE_INFINITY
      reset()
    },
    fail(error) {
      for (const send of batch) send.reject(error)
      reset()
    },
    split() {
      if (batch.length <= 1) return false
      queue.unshift(...batch)
      joinMax = 1
      reset()
      return true
    },
    forgetStamp() {
      producerId = undefined
      stamp = undefined
    },
    expire(nowMs, error) {
      const inDoubt = stamp !== undefined && batch.some((send) => send.deadlineMs <= nowMs)
      if (inDoubt) {
        // It may be in the log or arrive there yet: the sequence cannot be continued.
        lane.fail(error)
        lane.forgetStamp()
      }
      const late = queue.filter((send) => send.deadlineMs <= nowMs)
      queue = queue.filter((send) => send.deadlineMs > nowMs)
      for (const send of late) send.reject(error)
      return inDoubt
    },
    holdBack(delayMs, wake) {
      failures++
      timer ??= setTimeout(() => {
        timer = undefined
        wake()
      }, delayMs)
    },
    close(error) {
      clearTimeout(timer)
      for (const send of [...batch, ...queue]) send.reject(error)
      queue = []
      reset()
    },
  }
  return lane
}
