import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contracts } from '@countersink/shared/contracts'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { Logger } from '@countersink/shared/log'
import { sqlState } from '@countersink/shared/postgres/pool'
import type pg from 'pg'
import type { HashKey } from './core/keyed-hash.ts'
import type { RoutingVersions } from './core/routing/placement.ts'
import { LIMITS } from './limits.ts'
import { createOwnedPartition, type OwnedPartition } from './owned-partition.ts'
import { type ClaimedPartition, claimPartitions, type ClaimRequest } from './postgres/claim.ts'
import type { CounterIds } from './postgres/counter-ids.ts'
import { endFrozenWriters } from './postgres/frozen-writers.ts'
import { loadPartition } from './postgres/load.ts'
import type { LoadRoom } from './postgres/load-ids.ts'
import { saveHalt } from './postgres/halt.ts'

const LOCK_NOT_AVAILABLE = '55P03'

export type LogBounds = {
  /** partition -> first offset that the log still has, and the offset after its last. */
  starts: ReadonlyMap<number, number>
  ends: ReadonlyMap<number, number>
}

export type OwnershipOptions = {
  schema: string
  owner: string
  pool: pg.Pool
  hashKey: HashKey
  contracts: Contracts
  counterIds: CounterIds
  logger: Logger
  readLogBounds(): Promise<LogBounds>
  /** The routing versions, once they were read. */
  routing(): Promise<RoutingVersions>
  /** Where the ids of a partition that is loaded find their place. */
  loadRoom(owned: OwnedPartition): LoadRoom
  onHalted(partition: number): void
}

/**
 * The partitions this process owns: claimed in Postgres, loaded, dropped. Kafka's group says which
 * ones to claim; the token written by the claim is what makes every older owner's commits fail.
 */
export class Ownership {
  readonly #options: OwnershipOptions
  readonly #owned = new Map<number, OwnedPartition>()

  constructor(options: OwnershipOptions) {
    this.#options = options
  }

  get(partition: number): OwnedPartition | undefined {
    return this.#owned.get(partition)
  }

  all(): OwnedPartition[] {
    return [...this.#owned.values()]
  }

  /** Those whose state is there: they can be folded and committed. */
  loaded(): OwnedPartition[] {
    return this.all().filter(({ state }) => state !== undefined)
  }

  /**
   * Claims partitions and starts loading them. Gives where to fetch from; halted ones are left out.
   */
  async acquire(partitions: readonly number[]): Promise<Map<number, number>> {
    const { pool, schema, owner, contracts, logger } = this.#options
    const bounds = await this.#options.readLogBounds()
    const starts = new Map(partitions.map((p) => [p, bounds.starts.get(p) ?? 0]))
    const token = randomUUID()
    const client = await pool.connect()
    let failed: Error | undefined
    try {
      const request = { schema, token, owner, starts, contracts }
      const claims = await this.#claim(client, request)
      // Until the claim the owner before us may have gone on: only ends read now are no older.
      const logNow = await this.#options.readLogBounds()
      const offsets = new Map<number, number>()
      for (const claimed of claims) {
        this.drop(claimed.partition)
        const owned = createOwnedPartition(claimed, token)
        this.#owned.set(claimed.partition, owned)
        await this.#checkLog(owned, logNow)
        owned.ready = this.#load(owned)
        if (owned.halted === undefined) offsets.set(owned.partition, owned.expectedOffset)
      }
      logger.info({ partitions: claims.map((c) => [c.partition, c.next]) }, 'partitions claimed')
      return offsets
    } catch (error) {
      failed = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      client.release(failed)
    }
  }

  /**
   * The rows may be locked by an owner that was frozen in mid-transaction, and will be until the
   * server gives its statement up. Waiting ends after a bound, and then whoever keeps the rows
   * without doing anything is ended, so that the next try succeeds.
   */
  async #claim(client: pg.PoolClient, request: ClaimRequest): Promise<ClaimedPartition[]> {
    const { schema, logger } = this.#options
    try {
      return await claimPartitions(client, request)
    } catch (error) {
      if (sqlState(error) === LOCK_NOT_AVAILABLE) {
        const ended = await endFrozenWriters(client, schema)
        logger.warn({ ended }, 'partitions were locked by another owner for too long')
      }
      throw error
    }
  }

  /** Forgets a partition's state. What still runs for it finds out. */
  drop(partition: number): void {
    const owned = this.#owned.get(partition)
    if (owned === undefined) return
    owned.dropped = true
    owned.state = undefined
    owned.building = undefined
    owned.loading.abort()
    this.#owned.delete(partition)
  }

  /** Stops a partition for good, loudly: log, table, metric, readiness. Others go on. */
  async halt(owned: OwnedPartition, reason: string): Promise<void> {
    if (owned.halted !== undefined || owned.dropped) return
    const { partition, token } = owned
    owned.halted = reason
    this.#options.logger.error({ partition, reason }, 'partition halted: an operator must decide')
    this.#options.onHalted(partition)
    await this.#untilDone(owned, async () => {
      await saveHalt(this.#options.pool, this.#options.schema, partition, token, reason)
    })
  }

  /** Is the log the one that was counted, and does it still hold what comes next? */
  async #checkLog(owned: OwnedPartition, bounds: LogBounds): Promise<void> {
    const { partition, claimed } = owned
    if (owned.halted !== undefined) return
    const start = bounds.starts.get(partition) ?? 0
    const end = bounds.ends.get(partition) ?? 0
    if (claimed.next < start) {
      const missing = `offsets ${claimed.next} to ${start - 1}`
      await this.halt(
        owned,
        `the log begins at ${start}: retention has passed ${missing} uncounted`,
      )
    } else if (claimed.next > end) {
      await this.halt(
        owned,
        `the log ends at ${end}, but offsets to ${claimed.next - 1} are counted: the topic was made again or cut`,
      )
    } else if (claimed.record !== undefined && claimed.record.offset >= start) {
      owned.expectedOffset = claimed.record.offset
      owned.unverified = claimed.record
    } else if (claimed.record !== undefined) {
      this.#options.logger.warn(
        { partition, next: claimed.next },
        'the last counted record has expired: going on, unverified that this is the same log',
      )
    }
  }

  async #load(owned: OwnedPartition): Promise<void> {
    const { pool, schema, hashKey, contracts, counterIds, logger } = this.#options
    const { claimed, loading } = owned
    const begun = performance.now()
    await this.#untilDone(owned, async () => {
      const routing = await this.#options.routing()
      const client = await pool.connect()
      let failed: Error | undefined
      try {
        const { signal } = loading
        const room = this.#options.loadRoom(owned)
        const request = { schema, claimed, routing, hashKey, contracts, counterIds, signal, room }
        const state = await loadPartition(client, request)
        if (!owned.dropped) owned.state = state
      } catch (error) {
        failed = error instanceof Error ? error : new Error(String(error))
        // Trying again would not help: a person has to make room.
        if (!(error instanceof CountersinkError) || error.code !== 'LIMIT_REACHED') throw error
      } finally {
        owned.building = undefined
        client.release(failed)
      }
      if (failed !== undefined) await this.halt(owned, failed.message)
    })
    const { state } = owned
    if (state === undefined) return
    logger.info(
      {
        partition: owned.partition,
        next: state.next,
        ids: state.ids.hashed.size,
        coldIds: state.ids.hashed.cold.count,
        intervals: state.ids.intervals.size,
        dirt: state.dirt.entries,
        ms: Math.round(performance.now() - begun),
      },
      'partition loaded',
    )
  }

  /** Tries until it works or the partition is dropped: losing Postgres stops progress, no more. */
  async #untilDone(owned: OwnedPartition, work: () => Promise<void>): Promise<void> {
    for (let delayMs: number = LIMITS.retryDelayMsMin; !owned.dropped;) {
      try {
        await work()
        return
      } catch (error) {
        if (owned.dropped) return
        const { partition } = owned
        this.#options.logger.warn({ partition, reason: messageOf(error) }, 'trying again')
        await sleep(delayMs * (0.5 + Math.random()))
        delayMs = Math.min(delayMs * 2, LIMITS.retryDelayMsMax)
      }
    }
  }
}
