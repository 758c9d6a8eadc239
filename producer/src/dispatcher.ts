import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { Delivered, ProducerRecord } from '@countersink/shared/kafka/producer'
import type { Logger } from '@countersink/shared/log'
import { createBufferRoom, type BufferBounds } from './buffer-room.ts'
import { createFlushMarks } from './flush-marks.ts'
import { createPartitionLane, type PartitionLane } from './partition-lane.ts'
import { notDelivered, type PendingEvent } from './pending-event.ts'
import { Receipt } from './receipt.ts'

export type DispatcherOptions = BufferBounds & {
  topic: string
  lingerMs: number
  batchBytesMax: number
  /** Writes records to one partition; what is sent in one turn of the event loop may share a request. */
  send: (partition: number, records: readonly ProducerRecord[]) => Promise<Delivered>
  logger: Logger
}

export type DispatcherStats = {
  delivered: number
  undelivered: number
  batches: number
  batchesFailed: number
  bufferedEvents: number
  bufferedBytes: number
  waitingEvents: number
  /** On the monotonic clock; Infinity when there is nothing. */
  oldestDeadlineMs: number
}

/** Takes events through the buffer to the broker, and settles each exactly once. */
export type Dispatcher = {
  add: (pending: PendingEvent) => void
  /** Gives an event up; it may be in the log nevertheless if it was on its way. */
  abandon: (pending: PendingEvent, cause: unknown) => void
  /** Sends what is there without lingering; resolves when all of it is settled. */
  flush: () => Promise<void>
  room: () => Promise<void>
  /** Gives up everything that is not settled, and returns it. */
  abandonAll: (reason: string) => PendingEvent[]
  stats: () => DispatcherStats
  close: () => void
}

const SWEEP_INTERVAL_MS = 100
const RETRY_PAUSE_MS = 100

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { topic, batchBytesMax, logger } = options
  const lanes = new Map<number, PartitionLane>()
  const marks = createFlushMarks()
  const room = createBufferRoom(options, admit)
  let flushing = 0
  let lingering: NodeJS.Timeout | undefined
  let sweeping: NodeJS.Timeout | undefined
  const counts = { delivered: 0, undelivered: 0, batches: 0, batchesFailed: 0 }

  function laneOf(partition: number): PartitionLane {
    const lane = lanes.get(partition) ?? createPartitionLane(partition)
    lanes.set(partition, lane)
    return lane
  }

  function admit(pending: PendingEvent): void {
    const lane = laneOf(pending.partition)
    lane.push(pending)
    if (flushing > 0 || lane.bytes >= batchBytesMax) pump(lane)
    else lingering ??= setTimeout(pumpAll, options.lingerMs)
  }

  function pumpAll(): void {
    clearTimeout(lingering)
    lingering = undefined
    for (const lane of lanes.values()) pump(lane)
  }

  /** Starts the lane's next batch unless one is on its way or held back. */
  function pump(lane: PartitionLane): void {
    if (lane.inFlight.length > 0 || lane.length === 0) return
    const pauseMs = lane.heldUntilMs - performance.now()
    if (pauseMs > 0) {
      lane.wake ??= setTimeout(() => {
        lane.wake = undefined
        pump(lane)
      }, pauseMs)
      return
    }
    lane.inFlight = lane.take(batchBytesMax)
    void deliver(lane, lane.inFlight)
  }

  async function deliver(lane: PartitionLane, batch: readonly PendingEvent[]): Promise<void> {
    counts.batches++
    try {
      const records = batch.map((pending) => pending.record)
      const { baseOffset } = await options.send(lane.partition, records)
      // In the log, but nobody knows where: written once more the copies have a position, and
      // events are counted by their ids.
      if (baseOffset < 0)
        throw new CountersinkError('NOT_DELIVERED', NO_OFFSET, { retryable: true })
      for (let i = 0; i < batch.length; i++) accept(batch[i], lane.partition, baseOffset + i)
      lane.inFlight = []
    } catch (error) {
      counts.batchesFailed++
      retryOrReject(lane, batch, error)
    }
    if (flushing > 0 || lingering === undefined || lane.bytes >= batchBytesMax) pump(lane)
  }

  function accept(pending: PendingEvent | undefined, partition: number, offset: number): void {
    if (pending === undefined || pending.place === 'settled') return
    const { id, at } = pending.event
    counts.delivered++
    settle(pending)
    pending.resolve(new Receipt(id, at, topic, partition, offset))
  }

  function retryOrReject(
    lane: PartitionLane,
    batch: readonly PendingEvent[],
    error: unknown,
  ): void {
    lane.inFlight = []
    const open = batch.filter((pending) => pending.place !== 'settled')
    if (!(error instanceof CountersinkError) || !error.retryable) {
      logger.error({ err: error, partition: lane.partition }, 'a batch was refused')
      for (const pending of open) reject(pending, messageOf(error), error, false)
      return
    }
    logger.warn({ reason: error.message, partition: lane.partition }, 'a batch is sent again')
    lane.heldUntilMs = performance.now() + RETRY_PAUSE_MS
    lane.putBack(open)
    sweep()
  }

  function reject(pending: PendingEvent, message: string, cause: unknown, retryable = true): void {
    counts.undelivered++
    settle(pending)
    pending.reject(notDelivered(pending, message, cause, retryable))
  }

  function settle(pending: PendingEvent): void {
    const held = pending.place === 'lane' || pending.place === 'flight'
    pending.place = 'settled'
    if (pending.mark !== undefined) marks.leave(pending.mark)
    if (held) room.release(pending)
  }

  function giveUp(pending: PendingEvent, message: string, cause: unknown): void {
    if (pending.place === 'settled') return
    if (pending.place === 'lane') laneOf(pending.partition).remove(pending)
    if (pending.place === 'waiting') room.abandon(pending)
    reject(pending, message, cause)
  }

  /** Gives up what is past its deadline. Where events wait, the first has the earliest one. */
  function sweep(): void {
    const nowMs = performance.now()
    for (const lane of lanes.values()) {
      for (const pending of lane.inFlight) expire(pending, nowMs)
      while (expire(lane.head(), nowMs));
    }
    while (expire(room.head(), nowMs));
    if (room.events > 0 || room.waiting > 0) return
    clearInterval(sweeping)
    sweeping = undefined
  }

  function expire(pending: PendingEvent | undefined, nowMs: number): boolean {
    if (pending === undefined || pending.deadlineMs > nowMs) return false
    giveUp(pending, 'the event was not acknowledged in time', undefined)
    return true
  }

  function oldestDeadlineMs(): number {
    let oldest = room.head()?.deadlineMs ?? Number.POSITIVE_INFINITY
    for (const lane of lanes.values()) {
      const first = lane.inFlight[0] ?? lane.head()
      oldest = Math.min(oldest, first?.deadlineMs ?? oldest)
    }
    return oldest
  }

  return {
    add(pending) {
      pending.mark = marks.enter()
      if (room.enter(pending)) sweeping ??= setInterval(sweep, SWEEP_INTERVAL_MS)
      else reject(pending, `more than ${options.waitingEventsMax} events wait`, undefined)
    },
    abandon(pending, cause) {
      giveUp(pending, 'the sender gave the event up', cause)
    },
    async flush() {
      flushing++
      pumpAll()
      await marks.settled()
      flushing--
    },
    room: () => room.free(),
    abandonAll(reason) {
      const open = [...lanes.values()].flatMap((lane) => lane.clear())
      const given = [...open, ...room.close()].filter((pending) => pending.place !== 'settled')
      for (const pending of given) reject(pending, reason, undefined)
      return given
    },
    stats: () => ({
      ...counts,
      bufferedEvents: room.events,
      bufferedBytes: room.bytes,
      waitingEvents: room.waiting,
      oldestDeadlineMs: oldestDeadlineMs(),
    }),
    close() {
      clearTimeout(lingering)
      clearInterval(sweeping)
    },
  }
}

const NO_OFFSET = 'the broker did not say where the batch is'
