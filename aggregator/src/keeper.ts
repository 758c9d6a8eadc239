import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { Consumer } from '@countersink/shared/kafka/consumer'
import type { Logger } from '@countersink/shared/log'
import type pg from 'pg'
import type { Committer } from './committer.ts'
import { acceptGap } from './gap.ts'
import { LIMITS } from './limits.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Ownership } from './ownership.ts'
import { beat } from './postgres/beat.ts'

export type KeeperOptions = {
  schema: string
  pool: pg.Pool
  ownership: Pick<Ownership, 'get' | 'all' | 'loaded' | 'acquire' | 'drop'>
  committer: Committer
  consumer: Pick<Consumer, 'pause' | 'resume' | 'commitAdvisory' | 'lastFetchAt' | 'lastContactAt'>
  logger: Logger
  /** Deletes stored ids that are forgotten. */
  sweep(): Promise<void>
  onFatal(error: CountersinkError): void
}

export type Keeper = {
  start(): void
  stop(): Promise<void>
  /** The group gave us partitions: claims them and says where to fetch from. */
  assigned(partitions: readonly number[]): Promise<Map<number, number>>
  revoked(partitions: readonly number[]): void
  /** A partition was moved by somebody else: it is dropped, and claimed again if it is still ours. */
  fenced(owned: OwnedPartition): void
}

/**
 * Keeps ownership true, once a second: says that we live, finds rows that are no longer ours,
 * claims dropped partitions again, carries out operators' decisions, advises Kafka of offsets, and
 * ends the process when fetching stands still although the broker must be there.
 */
export function createKeeper(options: KeeperOptions): Keeper {
  const { schema, pool, ownership, committer, consumer, logger } = options
  /** What the group has given us and not taken back. */
  const assigned = new Set<number>()
  /** Being claimed because the group gave them to us, and not taken back meanwhile. */
  const starting = new Set<number>()
  /** Assigned partitions without a state, and when it was dropped (performance.now()). */
  const dropped = new Map<number, number>()
  let timer: NodeJS.Timeout | undefined
  let ticking: Promise<void> | undefined
  let watchedSince = 0

  async function tick(): Promise<void> {
    try {
      await checkRows()
      noticeMissing()
      await reacquire()
      await consumer.commitAdvisory(committedOffsets())
      watchFetching()
      await options.sweep()
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'looking after the partitions failed, trying again')
    }
  }

  async function checkRows(): Promise<void> {
    const owned = ownership.all()
    if (owned.length === 0) return
    const { ours, decisions } = await beat(pool, schema, owned)
    for (const one of owned) {
      if (!ours.has(one.partition) && !one.dropped) fenced(one)
    }
    for (const [partition, to] of decisions) {
      const one = ownership.get(partition)
      if (one === undefined || !ours.has(partition)) continue
      if (await acceptGap({ schema, pool, committer, logger }, one, to)) drop(one)
    }
  }

  /**
   * One that was fenced before its claim had ended is known to nobody as dropped, and whatever is
   * fetched of it, a gap too, would fall on deaf ears.
   */
  function noticeMissing(): void {
    for (const partition of assigned) {
      if (dropped.has(partition) || ownership.get(partition) !== undefined) continue
      logger.warn({ partition }, 'a partition of ours has no state: it is claimed again')
      consumer.pause(partition)
      dropped.set(partition, performance.now())
    }
  }

  /**
   * Only after the group has heard of us since the drop: a zombie must not take back what its
   * successor has claimed.
   */
  async function reacquire(): Promise<void> {
    const contactAt = consumer.lastContactAt()
    const partitions = [...dropped]
      .filter(([, at]) => contactAt > at)
      .map(([partition]) => partition)
    if (partitions.length === 0) return
    const offsets = await ownership.acquire(partitions)
    for (const partition of partitions) dropped.delete(partition)
    for (const partition of partitions) {
      // Also of a halted one, which has no offset, nothing may stay when it was revoked meanwhile.
      if (!assigned.has(partition) && !starting.has(partition)) ownership.drop(partition)
    }
    for (const [partition, offset] of offsets) {
      if (assigned.has(partition)) consumer.resume(partition, offset)
    }
  }

  function committedOffsets(): Map<number, number> {
    return new Map(ownership.loaded().map(({ partition, state }) => [partition, state!.first]))
  }

  function watchFetching(): void {
    const sinceMs = Date.now() - Math.max(consumer.lastFetchAt(), watchedSince)
    if (assigned.size === 0 || ownership.all().every(({ halted }) => halted !== undefined)) {
      watchedSince = Date.now()
    } else if (sinceMs > LIMITS.fetchStallExitMsMax) {
      const seconds = Math.round(sinceMs / 1000)
      options.onFatal(
        new CountersinkError('KAFKA_UNAVAILABLE', `no fetch has succeeded for ${seconds} s`),
      )
    }
  }

  function drop(owned: OwnedPartition): void {
    if (ownership.get(owned.partition) === owned) ownership.drop(owned.partition)
    // One that was revoked may just be coming back, as another object: that one must not be paused.
    if (!assigned.has(owned.partition)) return
    consumer.pause(owned.partition)
    dropped.set(owned.partition, performance.now())
  }

  function fenced(owned: OwnedPartition): void {
    if (owned.dropped && ownership.get(owned.partition) !== undefined) return
    logger.warn({ partition: owned.partition }, 'partition lost or in doubt: its state is dropped')
    committer.doubtNumbers()
    drop(owned)
  }

  return {
    start() {
      watchedSince = Date.now()
      timer ??= setInterval(() => {
        ticking ??= tick().finally(() => (ticking = undefined))
      }, LIMITS.beatIntervalMs)
    },
    async stop() {
      clearInterval(timer)
      await ticking
    },
    async assigned(partitions) {
      for (const partition of partitions) starting.add(partition)
      try {
        const offsets = await ownership.acquire(partitions)
        for (const partition of partitions) {
          if (starting.has(partition)) {
            assigned.add(partition)
            dropped.delete(partition)
          } else {
            // Revoked while it was claimed. To keep it would be to claim it again and again, each
            // time fencing whoever has it by right.
            ownership.drop(partition)
            offsets.delete(partition)
          }
        }
        return offsets
      } catch (error) {
        // Trying again would not help: the contracts have to change, or a replay has to be made.
        if (error instanceof CountersinkError && !error.retryable) options.onFatal(error)
        throw error
      } finally {
        for (const partition of partitions) starting.delete(partition)
      }
    },
    revoked(partitions) {
      logger.info({ partitions }, 'partitions revoked')
      for (const partition of partitions) {
        assigned.delete(partition)
        starting.delete(partition)
        dropped.delete(partition)
        ownership.drop(partition)
      }
    },
    fenced,
  }
}
