import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError, messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { type Moment, momentNow } from '../router.ts'
import {
  addRoutingRecord,
  continuesTable,
  emptyRoutingTable,
  ROUTING_TIMES,
  type RoutingTable,
} from '../routing-table.ts'
import { backoffMs } from './backoff.ts'
import { createClusterClient, type ClusterClient } from './cluster-client.ts'
import { fetchFrom } from './fetcher.ts'
import { toCountersinkError } from './kafka-error.ts'
import { readTopicMetadata, type TopicMetadata } from './metadata-request.ts'
import { RecordCursor } from './record-batch.ts'
import { decodeRecordSet, decompressedFetchBytesMax } from './record-set.ts'
import { routingTopicOf } from './routing-topic.ts'

/** How long a fetch may wait for a new version, unless the lease asks for shorter ones. */
const pollMsMax = 5_000
const pollsPerLease = 4
/** The events' topic may have been made again, or have got partitions. */
const topicCheckMs = 10_000
const fetchBytesMax = 4 * 1024 * 1024
const startTimeoutMsDefault = 15_000
const failuresBeforeReconnect = 3
const UNKNOWN_TOPIC_OR_PARTITION = 3

/** What a complete look at the routing topic gave. */
export type RoutingRead = {
  table: RoutingTable
  /** How many partitions the events' topic has; what routes while the table has no version. */
  topicPartitions: number
  /** False while there is no routing topic. */
  exists: boolean
  /** When the look began: everything appended before is in the table. */
  begunAt: Moment
}

export type RoutingFollowerOptions = {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Of the events. */
  readonly topic: string
  readonly logger: Logger
  /** How long start() tries. */
  readonly startTimeoutMs?: number
  onRead(read: RoutingRead): void
}

/** Reads a topic's routing versions, and goes on reading: each look that reached the end is told. */
export type RoutingFollower = {
  /** Resolves after the first complete look. Rejects with TOPIC_MISSING or KAFKA_UNAVAILABLE. */
  start(): Promise<void>
  /** Resolves after a complete look that began after this call. */
  refresh(): Promise<void>
  stop(): Promise<void>
}

export function createRoutingFollower(options: RoutingFollowerOptions): RoutingFollower {
  const { topic, logger } = options
  const routingTopic = routingTopicOf(topic)
  const stopping = new AbortController()
  const waiters: { since: number; resolve: () => void }[] = []
  const firstRead = Promise.withResolvers<void>()
  let client: ClusterClient = createClusterClient(options)
  let running: Promise<void> | undefined
  let lastError: unknown
  let place: Place | undefined
  /** The last table that was told. */
  let told: RoutingTable | undefined
  let topicCheckedAtMs = Number.NEGATIVE_INFINITY

  const isStopped = (): boolean => stopping.signal.aborted

  async function run(): Promise<void> {
    let failures = 0
    while (!isStopped()) {
      try {
        await look()
        failures = 0
      } catch (error) {
        if (isStopped()) return
        failures++
        lastError = error
        place = undefined
        logger.warn({ topic: routingTopic, failures, reason: messageOf(error) }, 'routing not read')
        if (failures % failuresBeforeReconnect === 0) {
          void client.close()
          client = createClusterClient(options)
        }
        await pause(backoffMs(failures))
      }
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined)
  }

  /** One look at the end of the log, after one at what topics there are when it is time for that. */
  async function look(): Promise<void> {
    const begunAt = momentNow()
    if (place === undefined || begunAt.monotonicMs - topicCheckedAtMs > topicCheckMs) {
      place = await findPlace(place)
      topicCheckedAtMs = begunAt.monotonicMs
    }
    // Somebody waits for the first look, too, and an empty topic has nothing to answer with.
    const waitMs = told === undefined || waiters.length > 0 ? 0 : pollMs(place)
    const complete = place.routingTopicId === undefined || (await readOn(place, waitMs))
    if (complete) {
      const { table, topicPartitions, routingTopicId } = place
      const exists = routingTopicId !== undefined
      if (told !== undefined && !continuesTable(told, table)) {
        const message = `${routingTopic} no longer has the versions that were read from it`
        throw new CountersinkError('KAFKA_REFUSED', message)
      }
      told = table
      options.onRead({ table, topicPartitions, exists, begunAt })
      firstRead.resolve()
      for (const waiter of waiters.splice(0)) {
        if (waiter.since <= begunAt.monotonicMs) waiter.resolve()
        else waiters.push(waiter)
      }
    }
    if (place.routingTopicId === undefined) {
      topicCheckedAtMs = Number.NEGATIVE_INFINITY
      await pause(waitMs)
    }
  }

  /** Which topics there are, and how far we have read; from the start when they are others. */
  async function findPlace(before: Place | undefined): Promise<Place> {
    await client.connect([topic])
    const broker = await client.controller()
    const events = await readTopicMetadata(broker, topic)
    assertThere(events, topic)
    const routing = await readTopicMetadata(broker, routingTopic)
    const missing = routing.errorCode === UNKNOWN_TOPIC_OR_PARTITION
    if (!missing) assertThere(routing, routingTopic)
    const { topicId } = events
    const routingTopicId = missing ? undefined : routing.topicId
    const isSame = before?.table.topicId === topicId && before.routingTopicId === routingTopicId
    return {
      table: isSame ? before.table : emptyRoutingTable(topicId),
      next: isSame ? before.next : 0,
      topicPartitions: events.partitions.length,
      routingTopicId,
      leader: routing.partitions[0]?.leader ?? -1,
    }
  }

  /** Reads what has come; true when that was all there is. */
  async function readOn(from: Place, maxWaitMs: number): Promise<boolean> {
    const target = { partition: 0, offset: from.next, topicId: from.routingTopicId ?? '' }
    const bytes = { maxBytes: fetchBytesMax, maxBytesPerPartition: fetchBytesMax }
    const response = await fetchFrom(client, from.leader, [target], { maxWaitMs, ...bytes })
    const [fetched] = response.partitions
    if (fetched === undefined || response.errorCode !== 0 || fetched.errorCode !== 0) {
      const code = fetched?.errorCode ?? response.errorCode
      throw new CountersinkError('KAFKA_UNAVAILABLE', `fetch error ${code}`, { retryable: true })
    }
    if (fetched.logStartOffset > 0) {
      const message = `${routingTopic} has lost its beginning: versions of it are unknown`
      throw new CountersinkError('KAFKA_REFUSED', message)
    }
    const budget = { bytesLeft: decompressedFetchBytesMax }
    const decoded = await decodeRecordSet(fetched.records, from.next, fetched.aborted, budget)
    if (decoded.corrupt !== undefined) {
      const { offset, reason } = decoded.corrupt
      throw new CountersinkError('KAFKA_REFUSED', `${routingTopic} offset ${offset}: ${reason}`)
    }
    const cursor = new RecordCursor()
    for (const batch of decoded.batches) {
      cursor.open(batch, from.next)
      while (cursor.next()) takeRecord(from, cursor, batch.logAppendTime)
    }
    from.next = Math.max(from.next, decoded.nextOffset)
    return from.next >= fetched.highWatermark
  }

  function takeRecord(into: Place, cursor: RecordCursor, logAppendTime: boolean): void {
    const { records, offset, valueStart, valueEnd, timestampMs } = cursor
    const value = valueStart < 0 ? null : records.subarray(valueStart, valueEnd)
    const appendTimeMs = logAppendTime ? timestampMs : undefined
    const { table, refused } = addRoutingRecord(into.table, { value, appendTimeMs })
    into.table = table
    if (refused === undefined) return
    logger.warn({ topic: routingTopic, offset, reason: refused }, 'a routing record does not count')
  }

  async function start(): Promise<void> {
    running ??= run()
    const late = new AbortController()
    const timeoutMs = options.startTimeoutMs ?? startTimeoutMsDefault
    const timedOut = sleep(timeoutMs, true, { signal: late.signal }).catch(() => false)
    const isLate = await Promise.race([firstRead.promise.then(() => false), timedOut])
    late.abort()
    if (isLate) throw toCountersinkError(lastError, `reading ${routingTopic}`)
  }

  return {
    start,
    async refresh() {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiters.push({ since: performance.now(), resolve })
      await promise
    },
    async stop() {
      stopping.abort()
      await client.close()
      await running
      for (const { resolve } of waiters.splice(0)) resolve()
    },
  }
}

/** One complete look at the routing topic. Rejects as start() does. */
export async function readRouting(
  options: Omit<RoutingFollowerOptions, 'onRead'>,
): Promise<RoutingRead> {
  const read = Promise.withResolvers<RoutingRead>()
  const follower = createRoutingFollower({ ...options, onRead: read.resolve })
  try {
    await follower.start()
    return await read.promise
  } finally {
    await follower.stop()
  }
}

/** Where the reading stands, and what was read up to there. */
type Place = {
  table: RoutingTable
  /** The next offset to read. */
  next: number
  topicPartitions: number
  /** Undefined while there is no such topic: then nothing is spread, and nobody has told a version. */
  routingTopicId: string | undefined
  leader: number
}

function pollMs({ table }: Place): number {
  const { leaseMs } = table.versions.at(-1)?.times ?? ROUTING_TIMES
  return Math.min(pollMsMax, Math.ceil(leaseMs / pollsPerLease))
}

function assertThere(metadata: TopicMetadata, topic: string): void {
  if (metadata.errorCode === UNKNOWN_TOPIC_OR_PARTITION) {
    throw new CountersinkError('TOPIC_MISSING', `there is no topic ${topic}`, { retryable: true })
  }
  if (metadata.errorCode === 0 && metadata.partitions.every(({ leader }) => leader >= 0)) return
  const message = `topic ${topic} has partitions without a leader (${metadata.errorCode})`
  throw new CountersinkError('KAFKA_UNAVAILABLE', message, { retryable: true })
}
