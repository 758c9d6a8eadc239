import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { backoffMs } from './backoff.ts'
import { createDelivery } from './delivery.ts'
import type { FetchedBatch } from './fetched-batch.ts'
import { createGroupMember } from './group-member.ts'
import {
  createPartitionState,
  dropReady,
  movePartition,
  type PartitionState,
} from './partition-state.ts'
import { createReader, type OutOfRange } from './reader.ts'

export type { FetchedBatch, RecordBatch } from './fetched-batch.ts'
export type { OutOfRange } from './reader.ts'

/** How long quiesce() and stop() wait for onBatch calls that are still running. */
const quiesceTimeoutMs = 10_000

export type ConsumerHooks = {
  /**
   * Called on every (re)join: `added` are the partitions that are new to us, `all` what we own now.
   * Gives start offsets of `added`; one left out is not fetched until resume(partition, offset).
   * Partitions kept over a rebalance go on by themselves, without a gap. Tried again if it throws.
   */
  onAssigned(added: number[], all: number[]): Promise<Map<number, number>>
  /** These are lost, and nothing of them is delivered from now on. */
  onRevoked(partitions: number[]): void
  /**
   * Different partitions may be in here at the same time, one partition never twice. While it is
   * awaited that partition waits, the others and the heartbeats go on. If it throws, the partition
   * stops until resume(partition, offset).
   */
  onBatch(batch: FetchedBatch): Promise<void>
  /**
   * The log does not hold `offset` (any more), or the topic is another one of the same name: the
   * partition stops until resume(p, offset).
   */
  onOutOfRange(partition: number, offset: number, why: OutOfRange): Promise<void>
}

export type ConsumerOptions = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly groupId: string
  readonly topic: string
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  /** See the member's option of this name. */
  readonly soleName?: string | undefined
  readonly maxBytesPerPartition: number
  readonly maxWaitMs: number
  readonly maxBytes: number
  /** See the reader's option of this name. */
  readonly fetchPaceMs?: number | undefined
  readonly hooks: ConsumerHooks
  readonly logger: Logger
}

/**
 * Reads one topic as a member of a consumer group, batch by batch, where its hooks say. It reads
 * committed data only, never resets an offset, and keeps trying, with bounded backoff, through
 * everything that brokers and networks do.
 */
export type Consumer = {
  /** Starts joining and reading in the background; a broker that is away is waited for. */
  start(): Promise<void>
  /**
   * Ends fetching and delivering and waits (bounded) for running onBatch calls, but stays in the
   * group: what was read can be committed before stop() hands the partitions to others.
   */
  quiesce(): Promise<void>
  /** quiesce(), then leaves the group so that others take over at once. Bounded, idempotent. */
  stop(): Promise<void>
  pause(partition: number): void
  /** Goes on, at `offset` if one is given; also ends a stop by corruption or out of range. */
  resume(partition: number, offset?: number): void
  /** Commits offsets to Kafka for lag tools; nothing depends on it and it never rejects. */
  commitAdvisory(offsets: Map<number, number>): Promise<void>
  /** When a fetch last succeeded, epoch milliseconds; 0 before the first. */
  lastFetchAt(): number
  /** When the group's coordinator last answered us as a member, by performance.now(). */
  lastContactAt(): number
}

export function createConsumer(options: ConsumerOptions): Consumer {
  const { hooks, logger, topic } = options
  const states = new Map<number, PartitionState>()
  const current = (partition: number): PartitionState | undefined => states.get(partition)
  /** Hooks of assignments run one after the other. */
  let assigning: Promise<void> = Promise.resolve()
  let partitionCount: number | undefined
  let started = false
  let stopping: Promise<void> | undefined
  let quiescing: Promise<void> | undefined

  const member = createGroupMember({
    ...options,
    owned: () => [...states.keys()],
    onAssignment(partitions) {
      if (quiescing === undefined) applyAssignment(partitions)
    },
    onLost: () => revoke([...states.keys()]),
  })
  const delivery = createDelivery({
    logger,
    current,
    onBatch: async (batch) => await hooks.onBatch(batch),
    isAlive: () => member.isAlive(),
    onRoom: () => reader.wake(),
  })
  const reader = createReader({
    ...options,
    states: () => states.values(),
    current,
    onReady: (state) => delivery.offer(state),
    onOutOfRange(state, offset, why) {
      const { partition } = state
      logger.error({ topic, partition, offset, why }, 'the offset to read next is not in the log')
      hooks.onOutOfRange(partition, offset, why).catch((error: unknown) => {
        logger.error({ topic, partition, reason: messageOf(error) }, 'onOutOfRange failed')
      })
    },
    onPartitionCount(count) {
      if (partitionCount !== undefined && partitionCount !== count) member.rejoin()
      partitionCount = count
    },
  })

  function applyAssignment(partitions: number[]): void {
    const assigned = new Set(partitions)
    revoke([...states.keys()].filter((partition) => !assigned.has(partition)))
    const added = partitions.filter((partition) => !states.has(partition))
    const fresh = added.map(createPartitionState)
    for (const state of fresh) states.set(state.partition, state)
    assigning = assigning.then(async () => await startPartitions(fresh))
  }

  function revoke(partitions: number[]): void {
    if (partitions.length === 0) return
    for (const partition of partitions) states.delete(partition)
    hooks.onRevoked(partitions)
  }

  async function startPartitions(fresh: readonly PartitionState[]): Promise<void> {
    for (const { partition } of fresh) await delivery.settled(partition)
    for (let failures = 1; quiescing === undefined; failures++) {
      const still = fresh.filter((state) => states.get(state.partition) === state)
      // All that this assignment brought is gone again: the next assignment speaks for itself.
      if (still.length === 0 && fresh.length > 0) return
      try {
        const added = still.map(({ partition }) => partition)
        const offsets = await hooks.onAssigned(added, [...states.keys()])
        for (const state of still) setStart(state, offsets.get(state.partition))
        reader.wake()
        return
      } catch (error) {
        logger.error(
          { topic, failures, reason: messageOf(error) },
          'onAssigned failed, trying again',
        )
        await sleep(backoffMs(failures))
      }
    }
  }

  function setStart(state: PartitionState, offset: number | undefined): void {
    const wasMoved = state.position !== undefined
    if (offset !== undefined && !wasMoved) movePartition(state, offset)
  }

  async function quiesce(): Promise<void> {
    const settled = Promise.all([delivery.close(), reader.stop()])
    await Promise.race([settled, sleep(quiesceTimeoutMs, undefined, { ref: false })])
  }

  async function stop(): Promise<void> {
    quiescing ??= quiesce()
    await quiescing
    await member.leave()
  }

  return {
    start() {
      if (!started && quiescing === undefined) {
        started = true
        member.start()
        reader.start()
      }
      return Promise.resolve()
    },
    async quiesce() {
      quiescing ??= quiesce()
      await quiescing
    },
    async stop() {
      stopping ??= stop()
      await stopping
    },
    pause(partition) {
      const state = states.get(partition)
      if (state === undefined) return
      state.paused = true
      dropReady(state)
    },
    resume(partition, offset) {
      const state = states.get(partition)
      if (state === undefined) return
      state.paused = false
      if (offset !== undefined) {
        state.stopped = false
        movePartition(state, offset)
      }
      reader.wake()
    },
    async commitAdvisory(offsets) {
      const ours = [...offsets].filter(([partition]) => states.has(partition))
      await member.commitAdvisory(new Map(ours))
    },
    lastFetchAt: () => reader.lastFetchAt(),
    lastContactAt: () => member.lastContactAt(),
  }
}
