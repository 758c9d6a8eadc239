import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { EventInput } from '@countersink/shared/event'
import type { Delivered, ProducerRecord } from '@countersink/shared/kafka/producer'
import type { Logger } from '@countersink/shared/log'
import { type BufferBounds, createBufferRoom } from './buffer-room.ts'
import { BulkCall } from './bulk-call.ts'
import { BulkPart } from './bulk-part.ts'
import { BulkRecord } from './bulk-record.ts'
import { createFlushMarks } from './flush-marks.ts'
import { createPartitionLane, type PartitionLane } from './partition-lane.ts'
import type { Pending } from './pending.ts'
import type { PendingEvent } from './pending-event.ts'
import type { EncodedBatch, RecordEncoder } from './record-encoder.ts'
import type { SessionIds } from './session-ids.ts'

export type DispatcherOptions = BufferBounds & {
  topic: string
  ids: SessionIds
  lingerMs: number
  batchBytesMax: number
  encode: RecordEncoder
  /** Called when an event will not change any more, for it leaves or is given up. */
  onLeave: (pending: PendingEvent) => void
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
  /** Calls; an addMany() is one. */
  waitingEvents: number
  /** On the monotonic clock; Infinity when there is nothing. */
  oldestDeadlineMs: number
}

/** Takes events through the buffer to the broker, and settles each exactly once. */
export type Dispatcher = {
  add: (pending: PendingEvent) => void
  /** The same for one that need not wait: its bulk call has found room. */
  addNow: (pending: PendingEvent) => void
  addCall: (call: BulkCall) => void
  /** See BulkPort. */
  partOf: (call: BulkCall, partition: number) => BulkPart
  grown: (part: BulkPart, bytes: number, events: number) => void
  written: (partition: number, atOnce: boolean) => void
  again: () => void
  spareEvents: () => number
  onSettled: (call: BulkCall) => void
  /** Gives an event or a call up; it may be in the log nevertheless if it was on its way. */
  abandon: (pending: PendingEvent | BulkCall, cause: unknown) => void
  /** Sends what is there without lingering; resolves when all of it is settled. */
  flush: () => Promise<void>
  room: () => Promise<void>
  /** Gives up everything that is not settled, and returns it. */
  abandonAll: (reason: string) => EventInput[]
  stats: () => DispatcherStats
  close: () => void
}

const SWEEP_INTERVAL_MS = 100
const RETRY_PAUSE_MS = 100
const IN_TIME = 'the event was not acknowledged in time'
const GIVEN_UP = 'the sender gave the event up'
const NO_OFFSET = 'the broker did not say where the batch is'

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { topic, ids, batchBytesMax, logger } = options
  const lanes = new Map<number, PartitionLane>()
  const marks = createFlushMarks()
  const room = createBufferRoom<PendingEvent | BulkCall>(options, (guest) => {
    if (!(guest instanceof BulkCall)) admit(guest)
  })
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
    arrived(lane, false)
  }

  function arrived(lane: PartitionLane, atOnce: boolean): void {
    if (atOnce || flushing > 0 || lane.bytes >= batchBytesMax) pump(lane)
    else lingering ??= setTimeout(pumpAll, options.lingerMs)
  }

  function pumpAll(): void {
    clearTimeout(lingering)
    lingering = undefined
    for (const lane of lanes.values()) pump(lane)
  }

  /** Starts the lane's next batch unless one is on its way or held back. */
  function pump(lane: PartitionLane): void {
    if (lane.isBusy) return
    if (lane.batch?.pendings.every(isSettled) === true) lane.batch = undefined
    if (lane.batch === undefined && lane.length === 0) return
    const pauseMs = lane.heldUntilMs - performance.now()
    if (pauseMs > 0) {
      lane.wake ??= setTimeout(() => {
        lane.wake = undefined
        pump(lane)
      }, pauseMs)
      return
    }
    lane.batch ??= nextBatch(lane)
    lane.isBusy = true
    void deliver(lane, lane.batch)
  }

  function nextBatch(lane: PartitionLane): EncodedBatch {
    const taken = lane.take(batchBytesMax)
    const batch = options.encode(taken)
    if (batch.pendings.length < taken.length) lane.putBack(taken.slice(batch.pendings.length))
    for (const pending of batch.pendings) if (pending.record === undefined) options.onLeave(pending)
    return batch
  }

  async function deliver(lane: PartitionLane, batch: EncodedBatch): Promise<void> {
    counts.batches++
    try {
      const { baseOffset } = await options.send(lane.partition, batch.records)
      // In the log, but nobody knows where: written once more the copies have a position, and
      // events are counted by their ids.
      if (baseOffset < 0)
        throw new CountersinkError('NOT_DELIVERED', NO_OFFSET, { retryable: true })
      lane.batch = undefined
      for (const pending of batch.pendings) accept(pending, baseOffset)
    } catch (error) {
      counts.batchesFailed++
      retryOrReject(lane, batch, error)
    }
    lane.isBusy = false
    if (flushing > 0 || lingering === undefined || lane.bytes >= batchBytesMax) pump(lane)
  }

  function accept(pending: Pending, baseOffset: number): void {
    if (pending.place === 'settled') return
    counts.delivered += pending.events
    settle(pending)
    pending.accept(topic, baseOffset + pending.recordNumber)
  }

  function retryOrReject(lane: PartitionLane, batch: EncodedBatch, error: unknown): void {
    if (!(error instanceof CountersinkError) || !error.retryable) {
      lane.batch = undefined
      logger.error({ err: error, partition: lane.partition }, 'a batch was refused')
      for (const pending of batch.pendings) {
        if (pending.place !== 'settled') reject(pending, messageOf(error), error, false)
      }
      return
    }
    logger.warn({ reason: error.message, partition: lane.partition }, 'a batch is sent again')
    lane.heldUntilMs = performance.now() + RETRY_PAUSE_MS
    sweep()
  }

  function reject(pending: Pending, message: string, cause: unknown, retryable = true): void {
    counts.undelivered += pending.events
    if (pending.record === undefined) options.onLeave(pending)
    settle(pending)
    pending.reject(ids, message, cause, retryable)
  }

  function settle(pending: Pending): void {
    const isHeld = pending.place === 'lane' || pending.place === 'flight'
    pending.place = 'settled'
    if (pending.mark !== undefined) marks.leave(pending.mark)
    if (isHeld) room.release(pending.bytes, pending.events)
  }

  function giveUpRest(call: BulkCall, message: string): EventInput[] {
    const rest = call.giveUpRest(message)
    counts.undelivered += rest.length
    return rest
  }

  function giveUp(pending: Pending | BulkCall, message: string, cause: unknown): void {
    if (pending.place === 'settled') return
    if (pending instanceof BulkCall) {
      if (pending.place === 'waiting') {
        room.abandon(pending)
        giveUpRest(pending, message)
      }
      return
    }
    if (pending.place === 'lane') laneOf(pending.partition).remove(pending)
    if (pending.place === 'waiting' && !(pending instanceof BulkPart)) room.abandon(pending)
    reject(pending, message, cause)
  }

  /** Gives up what is past its deadline. Where events wait, the first has the earliest one. */
  function sweep(): void {
    const nowMs = performance.now()
    for (const lane of lanes.values()) {
      for (const pending of lane.batch?.pendings ?? []) expire(pending, nowMs)
      while (expire(lane.head(), nowMs));
    }
    while (expire(room.head(), nowMs));
    if (room.events > 0 || room.waiting > 0) return
    clearInterval(sweeping)
    sweeping = undefined
  }

  function expire(pending: Pending | BulkCall | undefined, nowMs: number): boolean {
    if (pending === undefined || pending.deadlineMs > nowMs) return false
    giveUp(pending, IN_TIME, undefined)
    return true
  }

  function oldestDeadlineMs(): number {
    let oldest = room.head()?.deadlineMs ?? Number.POSITIVE_INFINITY
    for (const lane of lanes.values()) {
      const first = lane.batch?.pendings[0] ?? lane.head()
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
    addNow(pending) {
      pending.mark = marks.enter()
      room.take(pending.bytes, pending.events)
      admit(pending)
    },
    addCall(call) {
      call.mark = marks.enter()
      sweeping ??= setInterval(sweep, SWEEP_INTERVAL_MS)
      if (room.enter(call)) return
      giveUpRest(call, `more than ${options.waitingEventsMax} calls wait`)
    },
    partOf(call, partition) {
      const lane = laneOf(partition)
      if (lane.record === undefined || lane.record.isFull()) {
        lane.record = new BulkRecord(partition, batchBytesMax)
      }
      const { record } = lane
      if (record.part?.call === call) return record.part
      const part = new BulkPart(call, record, record.writer?.count ?? 0)
      record.part = part
      call.parts.push(part)
      lane.push(part)
      return part
    },
    grown(part, bytes, events) {
      part.bytes += bytes
      part.events += events
      room.take(bytes, events)
      laneOf(part.partition).grow(bytes)
    },
    written: (partition, atOnce) => arrived(laneOf(partition), atOnce),
    again: () => void setImmediate(room.letIn),
    spareEvents: () => room.spareEvents,
    onSettled(call) {
      if (call.mark !== undefined) marks.leave(call.mark)
    },
    abandon(pending, cause) {
      giveUp(pending, GIVEN_UP, cause)
      if (!(pending instanceof BulkCall)) return
      for (const own of [...pending.parts, ...pending.ownEvents]) giveUp(own, GIVEN_UP, cause)
    },
    async flush() {
      flushing++
      pumpAll()
      await marks.settled()
      flushing--
    },
    room: () => room.free(),
    abandonAll(reason) {
      const waiting = room.close()
      const open = [...lanes.values()].flatMap((lane) => lane.clear())
      const given: EventInput[] = []
      for (const pending of [...open, ...waiting]) {
        if (pending instanceof BulkCall) {
          for (const event of giveUpRest(pending, reason)) given.push(event)
        } else if (pending.place !== 'settled') {
          reject(pending, reason, undefined)
          for (const event of pending.inputs()) given.push(event)
        }
      }
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

function isSettled(pending: Pending): boolean {
  return pending.place === 'settled'
}
