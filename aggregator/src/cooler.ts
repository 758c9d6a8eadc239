import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { Logger } from '@countersink/shared/log'
import type pg from 'pg'
import { type Candidate, idBytes, IdBudget } from './core/ids/id-budget.ts'
import type { IdBucket } from './core/ids/id-memory.ts'
import type { PartitionState } from './core/partition-state.ts'
import { LIMITS } from './limits.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Ownership } from './ownership.ts'
import { deleteExpired } from './postgres/cold-deletes.ts'
import { readColdIds } from './postgres/cold-reads.ts'
import { type ColdWrite, isReached, writeColdRun } from './postgres/cold-writes.ts'
import type { CounterIds } from './postgres/counter-ids.ts'
import type { LoadRoom } from './postgres/load-ids.ts'

export type CoolerOptions = {
  schema: string
  pool: pg.Pool
  ownership: Pick<Ownership, 'all' | 'loaded' | 'halt'>
  counterIds: CounterIds
  /** For the hashed ids of all partitions of the process. */
  idsBytesMax: number
  logger: Logger
  /** So many ids were looked for in Postgres, and so many of them were not there. */
  onLookedUp(count: number, falsePositives: number): void
}

export type Cooler = {
  /** A partition was sealed: all its ids are in commits, or in the one that is being made. */
  sealed(): void
  /** Waits while the ids take more than they may; halts the partition with most if they must. */
  room(owned: OwnedPartition): Promise<void>
  /** Answers what the fold of a partition asks. Throws when stored ids are not there. */
  answer(owned: OwnedPartition): Promise<void>
  /** For a partition that is being loaded. */
  loadRoom(owned: OwnedPartition): LoadRoom
  /** Deletes what is forgotten. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

/**
 * Keeps the hashed ids of a process within their bound: the oldest buckets go to Postgres, one at a
 * time, and are asked for there. What an id turns out to be is the same; only forgetting it early
 * would not be, so when even that is not enough a partition halts.
 */
export function createCooler(options: CoolerOptions): Cooler {
  const { schema, pool, ownership, counterIds, logger } = options
  const budget = new IdBudget(options.idsBytesMax)
  const abort = new AbortController()
  let running: Promise<void> | undefined
  /** Buckets that are leaving the memory, through connections of loads too. */
  let leaving = 0

  /** Of all partitions, those that are being loaded too. */
  function states(): PartitionState[] {
    return ownership.all().flatMap(({ state, building }) => state ?? building ?? [])
  }

  /** Moves buckets out for as long as there are too many ids in memory, and some that may go. */
  function sealed(): void {
    if (running !== undefined || abort.signal.aborted || !budget.isPressed(states())) return
    const loaded = ownership.loaded()
    const next = nextToLeave(loaded.map(({ state }) => state!))
    // Without a number of its counter, as after a restore, the next commit gets one first.
    if (next === undefined || !isNumbered(next)) return
    const owned = loaded.find(({ state }) => state === next.state)!
    const write = begin(owned, next.state, next.bucket, next.state.first)
    running = cool(owned, write).then(
      () => ended(),
      (error: unknown) => {
        if (!abort.signal.aborted) logger.error({ err: error }, 'ids could not leave the memory')
        ended()
      },
    )
  }

  /** Of some states, one that may leave at once; a small one when that is all that there is. */
  function nextToLeave(some: readonly PartitionState[]): Candidate | undefined {
    const oldest = budget.candidate(some, true)
    if (oldest !== undefined || isLeaving() || !budget.isFull(states())) return oldest
    return budget.lastResort(some, true)
  }

  /** Something leaves the memory, or something large will after the next commit. */
  function isLeaving(): boolean {
    return leaving > 0 || budget.candidate(states(), false) !== undefined
  }

  /** Nothing leaves the memory, and nothing may. */
  function isStuck(): boolean {
    return !isLeaving() && budget.lastResort(states(), false) === undefined
  }

  function isNumbered({ state, bucket }: Candidate): boolean {
    return counterIds.has(state.counters.list[bucket.counter]!.name)
  }

  function ended(): void {
    running = undefined
    sealed()
  }

  /** From here on the bucket's ids are set apart; `state` is the one that has them. */
  function begin(
    owned: OwnedPartition,
    state: PartitionState,
    bucket: IdBucket,
    through: number,
  ): ColdWrite {
    const { partition, token } = owned
    const ids = state.ids.hashed
    const cooling = ids.beginCooling(bucket, through)
    return {
      ...{ schema, partition, token, ids, cooling },
      counter: counterIds.of(state.counters.list[bucket.counter]!.name),
      isLost: () => owned.dropped || (owned.state ?? owned.building) !== state,
    }
  }

  /**
   * Tries until the run is there: the ids stay in memory until then. False when nobody needs it any
   * more, or the partition is not ours.
   */
  async function cool(owned: OwnedPartition, write: ColdWrite, own?: pg.ClientBase) {
    leaving++
    try {
      return await untilCooled(owned, write, own)
    } finally {
      leaving--
    }
  }

  async function untilCooled(owned: OwnedPartition, write: ColdWrite, own?: pg.ClientBase) {
    const begun = performance.now()
    for (let delayMs: number = LIMITS.retryDelayMsMin; !write.isLost();) {
      if (write.cooling.isDead) {
        // A try whose answer was lost may have written them.
        write.ids.cold.noteExpired(write.cooling)
        return true
      }
      try {
        const reached = await isReached(own ?? pool, write)
        if (reached === undefined) return false
        if (reached && (await writeOnce(write, own))) {
          logCooled(owned, write, performance.now() - begun)
          return true
        }
        await pause(LIMITS.coolingCheckMs)
      } catch (error) {
        abort.signal.throwIfAborted()
        // The client of a load is the load's to replace.
        if (own !== undefined) throw error
        logger.warn({ reason: messageOf(error) }, 'ids stay in memory for now, trying again')
        await pause(delayMs * (0.5 + Math.random()))
        delayMs = Math.min(delayMs * 2, LIMITS.retryDelayMsMax)
      }
    }
    return false
  }

  async function writeOnce(write: ColdWrite, own: pg.ClientBase | undefined): Promise<boolean> {
    const run =
      own === undefined
        ? await withClient(async (client) => await writeColdRun(client, write))
        : await writeColdRun(own, write)
    if (run === undefined || write.isLost()) return false
    write.ids.endCooling(write.cooling, run)
    return true
  }

  function logCooled({ partition, state }: OwnedPartition, { cooling }: ColdWrite, ms: number) {
    const counter = state?.counters.list[cooling.counter]?.name
    const what = { partition, counter, bucketEnd: cooling.end, ids: cooling.count }
    logger.info({ ...what, ms: Math.round(ms) }, 'remembered ids moved to Postgres')
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: abort.signal })
  }

  async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect()
    let failed: Error | undefined
    try {
      return await work(client)
    } catch (error) {
      failed = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      client.release(failed)
    }
  }

  async function room(owned: OwnedPartition): Promise<void> {
    while (!owned.dropped && owned.state !== undefined && budget.isFull(states())) {
      sealed()
      if (isStuck() && !isLoading()) await haltLargest()
      else await pause(LIMITS.coolingCheckMs)
    }
  }

  /** Those that are being loaded move ids out themselves, and find out themselves when they cannot. */
  function isLoading(): boolean {
    return ownership.all().some(({ building }) => building !== undefined)
  }

  /** Its state goes: what it had folded and not committed is folded again when it goes on. */
  async function haltLargest(): Promise<void> {
    const bytes = ({ state }: OwnedPartition): number => idBytes(state!.ids.hashed)
    const [largest] = ownership.loaded().toSorted((a, b) => bytes(b) - bytes(a))
    if (largest === undefined) return
    const { size, cold } = largest.state!.ids.hashed
    largest.state = undefined
    await ownership.halt(largest, budget.refusal(size + cold.count))
  }

  async function answer(owned: OwnedPartition): Promise<void> {
    const { state } = owned
    if (state === undefined) return
    const { cold } = state.ids.hashed
    const questions = cold.takeQuestions()
    for (let delayMs: number = LIMITS.retryDelayMsMin; !owned.dropped;) {
      try {
        const payloads = await withClient(
          async (client) => await readColdIds(client, schema, counterIds, state, questions),
        )
        for (const [i, question] of questions.entries()) cold.answer(question, payloads[i])
        const falsePositives = payloads.filter((payload) => payload === undefined).length
        options.onLookedUp(questions.length, falsePositives)
        return
      } catch (error) {
        abort.signal.throwIfAborted()
        if (error instanceof CountersinkError && !error.retryable) throw error
        logger.warn({ reason: messageOf(error) }, 'stored ids cannot be read, trying again')
        await pause(delayMs * (0.5 + Math.random()))
        delayMs = Math.min(delayMs * 2, LIMITS.retryDelayMsMax)
      }
    }
  }

  function loadRoom(owned: OwnedPartition): LoadRoom {
    const refuse = (count: number): never => {
      throw new CountersinkError('LIMIT_REACHED', budget.refusal(count))
    }
    return {
      idsMax: budget.idsMax,
      isFull: () => budget.isFull(states()),
      expect(state, count) {
        owned.building = state
        if (budget.cannotHold(count, states())) refuse(count + state.ids.hashed.cold.count)
      },
      async settle(client, state, through) {
        owned.building = state
        while (!owned.dropped && budget.isFull(states())) {
          const next = nextToLeave([state])
          if (next !== undefined) {
            const write = begin(owned, state, next.bucket, through)
            if (!(await cool(owned, write, client))) throw new Error('the partition is not ours')
          } else if (isStuck()) {
            const { size, cold } = state.ids.hashed
            refuse(size + cold.count)
          } else {
            sealed()
            await pause(LIMITS.coolingCheckMs)
          }
        }
      },
    }
  }

  async function sweep(): Promise<void> {
    for (const { partition, token, state } of ownership.loaded()) {
      if (state === undefined) continue
      await deleteExpired(pool, schema, counterIds, { partition, token, state })
    }
  }

  return {
    sealed,
    room,
    answer,
    loadRoom,
    sweep,
    async stop() {
      abort.abort()
      await running
    },
  }
}
