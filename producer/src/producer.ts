import { CountersinkError } from '@countersink/shared/errors'
import type { EventInput } from '@countersink/shared/event'
import { createKafkaProducer } from '@countersink/shared/kafka/producer'
import { createRoutingFollower, type RoutingRead } from '@countersink/shared/kafka/routing-follower'
import { createLogger } from '@countersink/shared/log'
import { Router } from '@countersink/shared/router'
import { InvalidEventError, NotDeliveredError } from './add-errors.ts'
import { BulkCall, type BulkPort } from './bulk-call.ts'
import type { BulkReceipt } from './bulk-receipt.ts'
import { createCombiner } from './combiner.ts'
import { createDispatcher, type DispatcherStats } from './dispatcher.ts'
import { EventIntake, NOT_ROUTED } from './event-intake.ts'
import { bytesOf, PendingEvent } from './pending-event.ts'
import { type ProducerOptions, settingsOf } from './producer-options.ts'
import type { Receipt } from './receipt.ts'
import { createRecordEncoder } from './record-encoder.ts'
import { SessionIds } from './session-ids.ts'

export type { EventInput } from '@countersink/shared/event'
export type { Position } from '@countersink/shared/position'
export { InvalidEventError, NotDeliveredError } from './add-errors.ts'
export type { BulkReceipt } from './bulk-receipt.ts'
export type { ProducerOptions } from './producer-options.ts'
export type { Receipt } from './receipt.ts'

export type AddOptions = {
  /** Aborting it gives the event up: at once while it waits, and on its way it may still arrive. */
  signal?: AbortSignal
}

export type ProducerStats = Omit<DispatcherStats, 'oldestDeadlineMs'> & {
  /** Valid events that were taken over. */
  added: number
  invalid: number
  /** Of those added: how many became part of another's event. */
  combined: number
  /** 0 until start() has read it. */
  partitions: number
  /** The age of the oldest event that is not settled; 0 when there is none. */
  oldestBufferedMs: number
}

export type Producer = {
  /** Connects and reads the number of partitions. Rejects with TOPIC_MISSING or KAFKA_UNAVAILABLE. */
  start: () => Promise<void>
  /**
   * Adds an event; resolves once the broker has acknowledged it on all replicas in sync. An event
   * without an id gets one, and then also its `at` unless it has one; with an id it must have both.
   * Rejects with EVENT_INVALID (an InvalidEventError; nothing was sent), NOT_DELIVERED (a
   * NotDeliveredError, whose `event` can be added again without ever counting twice) or CLOSED.
   */
  add: (event: EventInput, options?: AddOptions) => Promise<Receipt>
  /**
   * Adds many events, and resolves once each of them is settled: the result says which are invalid
   * and which were not delivered. They are taken over as the buffer has room; until the promise
   * resolves, the list and its events must not be changed. Rejects with CLOSED only: a signal makes
   * undelivered what it gives up.
   */
  addMany: (events: readonly EventInput[], options?: AddOptions) => Promise<BulkReceipt>
  /** Resolves when add() would not have to wait: for loops that do not await each receipt. */
  room: () => Promise<void>
  /** Sends what is buffered now, and resolves when all of it is settled. */
  flush: () => Promise<void>
  /** Flushes within stopTimeoutMs, closes, and gives what was not acknowledged. Idempotent. */
  stop: () => Promise<{ undelivered: EventInput[] }>
  stats: () => ProducerStats
}

const NOT_FRESH =
  'the routing versions of the topic could not be read for longer than their lease: nobody can say where copies of the event go'
/** So much of its delivery time, at most a second of it, an event may lose by being combined. */
const COMBINE_EARLIER_PART = 0.1
const COMBINE_EARLIER_MS_MAX = 1000

/**
 * A client that appends count events to the topic. One per process is enough: share it. Throws
 * CONFIG_INVALID for a batchBytesMax that no broker takes.
 */
export function createProducer(options: ProducerOptions): Producer {
  const settings = settingsOf(options)
  const { topic, deliveryTimeoutMs, format, batchBytesMax } = settings
  const logger = options.logger ?? createLogger('countersink-producer', 'silent')
  const now = options.now ?? Date.now
  const ids = new SessionIds(now(), options.contracts)
  const router = new Router()
  const intake = new EventIntake(ids, router, options.contracts)
  const combiner = settings.combine
    ? createCombiner(Math.min(deliveryTimeoutMs * COMBINE_EARLIER_PART, COMBINE_EARLIER_MS_MAX))
    : undefined
  const kafka = createKafkaProducer({ ...settings, logger })
  const dispatcher = createDispatcher({
    ...settings,
    logger,
    ids,
    encode: createRecordEncoder(format, ids, batchBytesMax),
    onLeave: (pending) => combiner?.leave(pending),
    send: (partition, records) => kafka.send(topic, partition, records),
  })
  const counts = { added: 0, invalid: 0, combined: 0, partitions: 0 }
  const port: BulkPort = {
    ...dispatcher,
    topic,
    intake,
    ids,
    now,
    addSingle:
      format === 'packed' && combiner === undefined ? undefined : () => eventFor(dispatcher.addNow),
    onAdded: (events) => void (counts.added += events),
    onInvalid: () => void counts.invalid++,
  }
  let starting: Promise<void> | undefined
  let stopping: Promise<{ undelivered: EventInput[] }> | undefined
  const follower = createRoutingFollower({ ...settings, logger, onRead: onRouting })

  function onRouting({ table, topicPartitions, begunAt }: RoutingRead): void {
    const wasFresh = router.isFresh()
    router.update(table, topicPartitions, begunAt)
    if (topicPartitions < counts.partitions) {
      const change = { before: counts.partitions, partitions: topicPartitions }
      logger.error(change, 'the topic was made again, smaller')
    }
    counts.partitions = topicPartitions
    // Events that wait for this look are let in.
    if (!wasFresh) dispatcher.again()
  }

  async function start(): Promise<void> {
    await kafka.start()
    // Tells at once when there is no such topic, or nobody there.
    await kafka.partitions(topic)
    await follower.start()
  }

  /** The event of what the intake has read: one that it could become part of, or a new one. */
  function eventFor(enter: (pending: PendingEvent) => void): PendingEvent {
    counts.added++
    const deadlineMs = performance.now() + deliveryTimeoutMs
    const joined = combiner?.join(intake, deadlineMs)
    if (joined !== undefined) {
      counts.combined++
      return joined
    }
    const pending = newPending(deadlineMs)
    combiner?.offer(pending)
    enter(pending)
    return pending
  }

  function newPending(deadlineMs: number): PendingEvent {
    return new PendingEvent(intake, bytesOf(intake), deadlineMs)
  }

  /** Why nothing can be added; undefined when it can. */
  function closed(): CountersinkError | undefined {
    if (stopping === undefined && counts.partitions > 0) return undefined
    const state = stopping === undefined ? 'not started' : 'stopped'
    return new CountersinkError('CLOSED', `the producer is ${state}`)
  }

  function add(input: EventInput, { signal }: AddOptions = {}): Promise<Receipt> {
    const refusal = closed()
    if (refusal !== undefined) return Promise.reject(refusal)
    const reason = intake.read(input, now())
    if (reason === NOT_ROUTED) return addHeld(input, signal)
    if (reason !== undefined) {
      counts.invalid++
      return Promise.reject(new InvalidEventError(reason))
    }
    return signal === undefined
      ? eventFor(dispatcher.add).promise
      : addAbandonable(newPending(performance.now() + deliveryTimeoutMs), signal)
  }

  /** One that cannot be routed yet waits as a bulk call does, and all that come after it behind it. */
  async function addHeld(input: EventInput, signal: AbortSignal | undefined): Promise<Receipt> {
    const settled = await callFor([{ ...input }], signal)
    const receipt = settled.receipt(0)
    if (receipt !== undefined) return receipt
    const [invalid] = settled.invalid
    if (invalid !== undefined) throw new InvalidEventError(invalid.reason)
    const [undelivered] = settled.undelivered
    const { event = input, message = '', retryable = true } = undelivered ?? {}
    const why = router.isFresh() ? message : NOT_FRESH
    throw new NotDeliveredError(event, why, undefined, retryable)
  }

  /** What can be given up is never combined: others would be given up with it. */
  function addAbandonable(pending: PendingEvent, signal: AbortSignal): Promise<Receipt> {
    counts.added++
    dispatcher.add(pending)
    return abandonable(pending, signal)
  }

  function callFor(
    events: readonly EventInput[],
    signal: AbortSignal | undefined,
  ): Promise<BulkReceipt> {
    const call = new BulkCall(events, port, performance.now() + deliveryTimeoutMs)
    dispatcher.addCall(call)
    return signal === undefined ? call.promise : abandonable(call, signal)
  }

  async function abandonable<T>(
    given: (PendingEvent | BulkCall) & { promise: Promise<T> },
    signal: AbortSignal,
  ): Promise<T> {
    const onAbort = (): void => dispatcher.abandon(given, signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await given.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  function addMany(
    events: readonly EventInput[],
    { signal }: AddOptions = {},
  ): Promise<BulkReceipt> {
    const refusal = closed()
    return refusal === undefined ? callFor(events, signal) : Promise.reject(refusal)
  }

  async function stop(): Promise<{ undelivered: EventInput[] }> {
    const timedOut = Promise.withResolvers<void>()
    const timer = setTimeout(timedOut.resolve, settings.stopTimeoutMs)
    await Promise.race([dispatcher.flush(), timedOut.promise])
    clearTimeout(timer)
    const given = dispatcher.abandonAll(
      'the producer was stopped before the event was acknowledged',
    )
    dispatcher.close()
    await Promise.all([kafka.stop(), follower.stop()])
    return { undelivered: given }
  }

  return {
    start() {
      starting ??= start().catch((error: unknown) => {
        starting = undefined
        throw error
      })
      return starting
    },
    add,
    addMany,
    room: () => dispatcher.room(),
    flush: () => dispatcher.flush(),
    stop() {
      stopping ??= stop()
      return stopping
    },
    stats() {
      const { oldestDeadlineMs, ...sent } = dispatcher.stats()
      const ageMs = performance.now() + deliveryTimeoutMs - oldestDeadlineMs
      return { ...counts, ...sent, oldestBufferedMs: Math.max(0, ageMs) }
    },
  }
}
