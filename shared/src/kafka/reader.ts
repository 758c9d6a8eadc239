import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { backoffMs } from './backoff.ts'
import { createClusterClient, type ClusterClient } from './cluster-client.ts'
import type { CorruptBatch, FetchedBatch, RecordBatch } from './fetched-batch.ts'
import { fetchFrom } from './fetcher.ts'
import type { FetchLimits } from './fetch-request.ts'
import type { FetchedPartition, FetchResponse } from './fetch-response.ts'
import { readTopicMetadata } from './metadata-request.ts'
import { wantsData, type PartitionState } from './partition-state.ts'
import {
  decodeRecordSet,
  decompressedFetchBytesMax,
  type DecompressionBudget,
} from './record-set.ts'
import { SharedResponse } from './response-buffers.ts'
import { createSignal, type Signal } from './signal.ts'

const metadataRefreshMs = 10_000
/** While a partition has no leader it is looked for more often. */
const leaderSearchMs = 500
/** At least this between two looks at the metadata, however many fetches ask for one. */
const metadataPauseMs = 100
/** While a partition has no room, others are asked with short waits, so that it gets its turn. */
const shortWaitMsMin = 5
const shortWaitMsMax = 50
/** Who has no room soon has: while nothing is known to be elsewhere it is waited for, so long. */
const roomWaitMs = 10
const failuresBeforeReconnect = 3
/** Nothing to fetch: look again after this even if nobody wakes the loop. */
const idleCheckMs = 1_000

const OFFSET_OUT_OF_RANGE = 1
const CORRUPT_MESSAGE = 2
const UNKNOWN_TOPIC_ID = 100
const INCONSISTENT_TOPIC_ID = 103

export type ReaderOptions = FetchLimits & {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly topic: string
  /**
   * At least this from one fetch of a broker to the next, unless more is there already: what trickles
   * in comes together then, in fewer requests. 0, or nothing, asks again at once.
   */
  readonly fetchPaceMs?: number | undefined
  readonly logger: Logger
  states(): Iterable<PartitionState>
  current(partition: number): PartitionState | undefined
  /** `state.ready` has been set. */
  onReady(state: PartitionState): void
  onOutOfRange(state: PartitionState, offset: number, why: OutOfRange): void
  /** Called after each look at the metadata. */
  onPartitionCount(count: number): void
}

/**
 * Fetches from every broker that leads a partition of ours, one request at a time each, the next
 * one under way while the last response is being processed: a partition has at most one response
 * in its reader's hands and one waiting, so what is held is bounded by two responses' worth.
 */
export type Reader = {
  start(): void
  /** Something changed that lets a partition be fetched. */
  wake(): void
  lastFetchAt(): number
  stop(): Promise<void>
}

/** The log has not got the offset (any more), or is another one under the same name. */
export type OutOfRange = 'out-of-range' | 'other-topic'

type Target = {
  readonly state: PartitionState
  readonly partition: number
  readonly offset: number
  readonly topicId: string
  readonly epoch: number
  /** First in the request: the broker gives it a whole batch, however large. */
  readonly first: boolean
}

type Plan = {
  readonly targets: Target[]
  readonly someAreFull: boolean
  /** Of all targets nothing more was there when they were last fetched. */
  readonly allAtEnd: boolean
  readonly waitMs: number
}

export function createReader(options: ReaderOptions): Reader {
  const { topic, logger, fetchPaceMs = 0 } = options
  const loops = new Map<number, { wake: Signal; done: Promise<void> }>()
  const metadataWake = createSignal()
  const stopping = new AbortController()
  let client: ClusterClient = createClusterClient(options)
  let leaders = new Map<number, number>()
  /** Of the topic that has our name now. */
  let topicId: string | undefined
  let metadataDone: Promise<void> | undefined
  let lastFetchAtMs = 0
  let rotation = 0

  const isStopped = (): boolean => stopping.signal.aborted

  async function pauseFor(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined)
  }

  async function watchMetadata(): Promise<void> {
    let failures = 0
    while (!isStopped()) {
      try {
        await client.connect([topic])
        await client.refreshMetadata()
        leaders = client.leaders(topic)
        topicId = await currentTopicId()
        failures = 0
        startLoops()
        options.onPartitionCount(leaders.size)
      } catch (error) {
        failures++
        if (isStopped()) return
        logger.warn({ topic, failures, reason: messageOf(error) }, 'reading metadata failed')
        reconnect(failures)
      }
      await pauseFor(metadataPauseMs)
      const waitMs = [...leaders.values()].includes(-1) ? leaderSearchMs : metadataRefreshMs
      await metadataWake.wait(failures === 0 ? waitMs : backoffMs(failures))
    }
  }

  /** Undefined while there is no such topic. */
  async function currentTopicId(): Promise<string | undefined> {
    const nodeId = [...leaders.values()].find((leader) => leader >= 0)
    if (nodeId === undefined) return undefined
    const metadata = await readTopicMetadata(await client.broker(nodeId), topic)
    return metadata.errorCode === 0 ? metadata.topicId : undefined
  }

  function startLoops(): void {
    for (const nodeId of new Set(leaders.values())) {
      const loop = loops.get(nodeId)
      if (loop !== undefined) loop.wake.notify()
      else if (nodeId >= 0) {
        const wake = createSignal()
        loops.set(nodeId, { wake, done: fetchLoop(nodeId, wake) })
      }
    }
  }

  function reconnect(failures: number): void {
    if (failures % failuresBeforeReconnect !== 0 || isStopped()) return
    void client.close()
    client = createClusterClient(options)
  }

  async function fetchLoop(nodeId: number, wake: Signal): Promise<void> {
    let failures = 0
    let shortWaitMs = shortWaitMsMin
    let fullSinceMs: number | undefined
    while (!isStopped()) {
      const { targets, someAreFull, allAtEnd, waitMs } = planFetch(nodeId)
      if (targets.length === 0) {
        await wake.wait(waitMs)
        continue
      }
      // A request that waits for new records would keep the one with room from being asked for.
      if (someAreFull && allAtEnd) {
        fullSinceMs ??= performance.now()
        const leftMs = fullSinceMs + roomWaitMs - performance.now()
        if (leftMs > 0) {
          await wake.wait(leftMs)
          continue
        }
      }
      fullSinceMs = undefined
      const begunMs = performance.now()
      const maxWaitMs = someAreFull ? Math.min(shortWaitMs, options.maxWaitMs) : options.maxWaitMs
      try {
        const response = await fetchFrom(client, nodeId, targets, { ...options, maxWaitMs })
        if (response.errorCode !== 0) throw new Error(`fetch error ${response.errorCode}`)
        failures = 0
        lastFetchAtMs = Date.now()
        const gained = await accept(response, targets)
        const isStuck = someAreFull && !gained
        shortWaitMs = isStuck ? Math.min(2 * shortWaitMs, shortWaitMsMax) : shortWaitMsMin
        const paceMs = wanted(nodeId).every(isAtEnd) ? fetchPaceMs : 0
        const restMs = Math.max(paceMs - (performance.now() - begunMs), response.throttleMs)
        if (restMs > 0) await pauseFor(restMs)
      } catch (error) {
        failures++
        if (isStopped()) return
        logger.warn({ topic, nodeId, failures, reason: messageOf(error) }, 'fetching failed')
        reconnect(failures)
        metadataWake.notify()
        await pauseFor(backoffMs(failures))
      }
    }
  }

  function planFetch(nodeId: number): Plan {
    const nowMs = performance.now()
    const targets: Target[] = []
    let someAreFull = false
    let waitMs = idleCheckMs
    for (const state of wanted(nodeId)) {
      const { partition, position: offset, epoch } = state
      if (state.ready !== undefined) someAreFull = true
      else if (state.retryAtMs > nowMs) waitMs = Math.min(waitMs, state.retryAtMs - nowMs)
      else {
        state.topicId ??= topicId
        if (state.topicId === undefined) continue
        targets.push({ state, partition, offset, topicId: state.topicId, epoch, first: false })
      }
    }
    const allAtEnd = targets.every(({ state }) => isAtEnd(state))
    return { targets: inTurn(targets), someAreFull, allAtEnd, waitMs }
  }

  /** The partitions that the broker leads and that are to be read on. */
  function wanted(nodeId: number): (PartitionState & { position: number })[] {
    const readable = [...options.states()].filter(wantsData)
    return readable.filter(({ partition }) => leaders.get(partition) === nodeId)
  }

  /** Who stands first gets the most of a full response, so it is another one each time. */
  function inTurn(targets: Target[]): Target[] {
    const cut = targets.findIndex(({ state }) => state.cutAtStart)
    const start = cut >= 0 ? cut : rotation++ % Math.max(targets.length, 1)
    const turned = [...targets.slice(start), ...targets.slice(0, start)]
    return turned.map((target, index) => ({ ...target, first: index === 0 }))
  }

  async function accept(response: FetchResponse, targets: readonly Target[]): Promise<boolean> {
    const budget = { bytesLeft: decompressedFetchBytesMax }
    const answeredBy = client
    const shared = new SharedResponse(() => answeredBy.giveBack(response.payload))
    const release = shared.hold()
    const byPartition = new Map(targets.map((target) => [target.partition, target]))
    const accepted = response.partitions.map(async (fetched) => {
      const target = byPartition.get(fetched.partition)
      return target !== undefined && (await acceptPartition(target, fetched, budget, shared))
    })
    const gained = await Promise.all(accepted)
    release()
    return gained.includes(true)
  }

  /** Whether the answer to `target` is still of use. */
  function isCurrent(target: Target): boolean {
    const { state, epoch, offset } = target
    if (options.current(target.partition) !== state || isStopped()) return false
    return state.epoch === epoch && state.position === offset && wantsData(state)
  }

  async function acceptPartition(
    target: Target,
    fetched: FetchedPartition,
    budget: DecompressionBudget,
    shared: SharedResponse,
  ): Promise<boolean> {
    const { state, offset } = target
    if (!isCurrent(target)) return false
    if (fetched.errorCode === OFFSET_OUT_OF_RANGE) {
      state.stopped = true
      options.onOutOfRange(state, offset, 'out-of-range')
      return false
    }
    if (fetched.errorCode === UNKNOWN_TOPIC_ID || fetched.errorCode === INCONSISTENT_TOPIC_ID) {
      meetOtherTopic(target, fetched.errorCode)
      return false
    }
    if (fetched.errorCode === CORRUPT_MESSAGE) {
      const reason = 'the broker found its own log corrupt here'
      const nothing = { batches: [], nextOffset: offset }
      takeIn(target, fetched, shared, { ...nothing, corrupt: { offset, reason } })
      return true
    }
    if (fetched.errorCode !== 0) {
      retryLater(state, fetched.errorCode)
      return false
    }
    state.failures = 0
    state.hasRead = true
    const decoded = await decodeRecordSet(fetched.records, offset, fetched.aborted, budget)
    if (!isCurrent(target)) return false
    state.cutAtStart = decoded.cutAtStart
    if (decoded.cutAtStart && target.first) {
      const reason = 'a batch is cut short although it was asked for alone'
      takeIn(target, fetched, shared, { ...decoded, corrupt: { offset, reason } })
      return true
    }
    return takeIn(target, fetched, shared, decoded)
  }

  /**
   * The topic that was read from is gone. One of the same name that has come since is another log:
   * its offsets mean other records, which must not be taken for those that follow.
   */
  function meetOtherTopic({ state, offset, topicId: asked }: Target, errorCode: number): void {
    if (topicId === undefined || topicId === asked) {
      retryLater(state, errorCode)
    } else if (state.hasRead) {
      state.stopped = true
      options.onOutOfRange(state, offset, 'other-topic')
    } else {
      state.topicId = undefined
    }
  }

  function retryLater(state: PartitionState, errorCode: number): void {
    const { partition } = state
    state.failures++
    state.retryAtMs = performance.now() + backoffMs(state.failures)
    logger.warn({ topic, partition, errorCode, failures: state.failures }, 'partition not readable')
    metadataWake.notify()
  }

  /** Makes what was decoded ready for delivery, unless nothing at all is new in it. */
  function takeIn(
    { state, offset, epoch }: Target,
    { logStartOffset, highWatermark, lastStableOffset }: FetchedPartition,
    shared: SharedResponse,
    decoded: { batches: RecordBatch[]; nextOffset: number; corrupt?: CorruptBatch },
  ): boolean {
    const { partition } = state
    const { batches, nextOffset, corrupt } = decoded
    const moved = nextOffset > offset || corrupt !== undefined
    const endsMoved =
      state.seenLogStartOffset !== logStartOffset ||
      state.seenHighWatermark !== highWatermark ||
      state.seenLastStableOffset !== lastStableOffset
    if (!moved && !endsMoved) return false
    state.position = nextOffset
    state.seenLogStartOffset = logStartOffset
    state.seenHighWatermark = highWatermark
    state.seenLastStableOffset = lastStableOffset
    const isStale = (): boolean => options.current(partition) !== state || state.epoch !== epoch
    const ready: FetchedBatch = {
      partition,
      fetchedOffset: offset,
      nextOffset,
      batches,
      logStartOffset,
      highWatermark,
      lastStableOffset,
      ...(corrupt && { corrupt }),
      isStale,
      release: shared.hold(),
    }
    state.ready = ready
    options.onReady(state)
    return moved
  }

  function wakeAll(): void {
    for (const { wake } of loops.values()) wake.notify()
  }

  return {
    start() {
      metadataDone ??= watchMetadata()
    },
    wake: wakeAll,
    lastFetchAt: () => lastFetchAtMs,
    async stop() {
      stopping.abort()
      metadataWake.notify()
      wakeAll()
      await client.close()
      await Promise.all([metadataDone, ...[...loops.values()].map(({ done }) => done)])
    },
  }
}

/** Nothing more was there when it was last fetched. */
function isAtEnd({ position, seenLastStableOffset }: PartitionState): boolean {
  return position !== undefined && position >= seenLastStableOffset
}
