import { setTimeout as sleep } from 'node:timers/promises'
import type { Contract } from '@countersink/shared/contracts'
import { messageOf } from '@countersink/shared/errors'
import type { Logger } from '@countersink/shared/log'
import type pg from 'pg'
import { CommitPace } from './commit-pace.ts'
import { pageOfSlot } from './core/sums/paged-sums.ts'
import type { PartitionState } from './core/partition-state.ts'
import { type CommitMode, duePages } from './due-pages.ts'
import { LIMITS } from './limits.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Ownership } from './ownership.ts'
import { type CommitPart, type CommitRequest, isRefusal, tryCommit } from './postgres/commit.ts'
import type { CounterIds } from './postgres/counter-ids.ts'
import { LogRows } from './postgres/log-rows.ts'
import { readPages } from './postgres/page-reads.ts'
import { PageWrites } from './postgres/page-writes.ts'
import { sealPartition } from './postgres/seal.ts'
import { readParts } from './postgres/settle.ts'
import type { WriterConnection } from './writer-connection.ts'

export type CommitReport = {
  mode: CommitMode
  parts: number
  pages: number
  events: number
  ms: number
}

export type CommitterOptions = {
  schema: string
  ownership: Ownership
  counterIds: CounterIds
  connection: WriterConnection
  liveIntervalMs: number
  logger: Logger
  onCommitted(report: CommitReport): void
  /** Its compare-and-set failed: somebody else moved it, or the database is not the one it was. */
  onFenced(owned: OwnedPartition): void
  onRetried(reason: string): void
  /** Partitions were sealed: until the next turn nothing of their states is in no commit. */
  onSealed(): void
}

export type Committer = {
  start(): void
  /** Something was folded. */
  notify(): void
  /** Waits while more has been folded than may wait for a commit. */
  room(owned: OwnedPartition): Promise<void>
  /** Commits until nothing of a partition waits and all of its pages are written. */
  flush(owned: OwnedPartition): Promise<void>
  /** The database may be a backup that was restored, in which counters have other numbers. */
  doubtNumbers(): void
  /** Commits what was folded, bounded, and ends. */
  stop(): Promise<void>
  /** For how long commits have been failing; 0 when the last one succeeded. */
  failingForMs(): number
}

type InCommit = { owned: OwnedPartition; part: CommitPart }

/** One commit in flight while the next batch folds: seal, write, confirm, and again. */
export function createCommitter(options: CommitterOptions): Committer {
  const { schema, ownership, counterIds, connection, logger } = options
  const log = new LogRows(schema)
  const pages = new PageWrites(schema)
  const pace = new CommitPace(ownership, options.liveIntervalMs)
  const abort = new AbortController()
  let draining = false
  /** Since when nothing has succeeded, by performance.now(); undefined while all is well. */
  let failingSince: number | undefined
  let numbersAreDoubtful = false
  /** The connection on which the counters' numbers were last seen to hold. */
  let numbersHoldOn: pg.Client | undefined
  /** CounterIds.changes when the commit under way was sealed. */
  let numbersSealed = 0
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (!abort.signal.aborted) {
      const mode = pace.due(draining)
      if (mode === undefined) {
        if (draining) return
        keepConnected()
        await pace.wait(abort.signal)
        continue
      }
      pace.begun(mode)
      await commitOnce(mode)
      pace.committed()
    }
  }

  /** With nothing to commit, too: whether Postgres can be reached is asked of an idle process as well. */
  function keepConnected(): void {
    if (connection.isConnected()) return
    connection.get(abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) throw error
    })
  }

  async function commitOnce(mode: CommitMode): Promise<void> {
    const begun = performance.now()
    const work = await seal(mode)
    if (work.length === 0) return
    const request = { schema, parts: work.map(({ part }) => part), log, pages }
    const committed = await untilSettled(work, request)
    for (const { owned } of work) owned.state?.dirt.evict(pagesCached(owned.state))
    const events = committed.reduce((sum, { part }) => sum + part.sealed.counts.read, 0)
    const ms = performance.now() - begun
    failingSince = undefined
    options.onCommitted({ mode, parts: committed.length, pages: pages.count, events, ms })
  }

  /** Closes what was folded and writes all rows of the commit, before the transaction begins. */
  async function seal(mode: CommitMode): Promise<InCommit[]> {
    await numberCounters()
    numbersSealed = counterIds.changes
    log.begin()
    pages.begin()
    const owned = ownership.loaded().filter(({ state }) => pace.takesPart(state!))
    const work = owned.map((one) => ({ owned: one, part: sealOne(one) }))
    if (work.length > 0) options.onSealed()
    for (const { part } of work) await addPages(part, mode)
    return work.filter(({ owned: { dropped } }) => !dropped)
  }

  function sealOne(owned: OwnedPartition): CommitPart {
    const state = owned.state!
    owned.record = owned.lastFolded ?? owned.record
    const sealed = sealPartition(state, counterIds, log)
    const { token, revision, record } = owned
    return { sealed, token, revision, record, floor: sealed.next }
  }

  async function addPages(part: CommitPart, mode: CommitMode): Promise<void> {
    const { state, next } = part.sealed
    const due = duePages(state, mode, part.sealed)
    const unknown = due.filter((block) => state.dirt.isUnknown(block))
    if (unknown.length > 0) {
      const keys = unknown.map((block) => state.dirt.keyOf(block))
      await withConnection(async (client) => {
        await readPages(client, schema, counterIds, state, keys)
      })
    }
    pages.add(state, due, next, counterIds)
    part.floor = state.dirt.floor(next)
  }

  /** Gives every counter its number; while one statement runs, more may turn up. */
  async function numberCounters(): Promise<void> {
    if (numbersAreDoubtful) counterIds.clear()
    numbersAreDoubtful = false
    for (;;) {
      const fresh = new Map<string, Contract>()
      for (const { state } of ownership.loaded()) {
        for (const { name, contract } of state!.counters.list) {
          if (!counterIds.has(name)) fresh.set(name, contract)
        }
      }
      if (fresh.size === 0) return
      await withConnection(async (client) => await counterIds.ensure(client, fresh))
    }
  }

  /** Runs idempotent work on the connection until it succeeds or the committer is stopped. */
  async function withConnection(
    work: (client: Awaited<ReturnType<WriterConnection['get']>>) => Promise<void>,
  ): Promise<void> {
    for (let delayMs: number = LIMITS.retryDelayMsMin; ;) {
      const client = await connection.get(abort.signal)
      try {
        await work(client)
        return
      } catch (error) {
        connection.discard()
        delayMs = await retry(error, delayMs)
      }
    }
  }

  async function retry(error: unknown, delayMs: number): Promise<number> {
    failingSince ??= performance.now()
    options.onRetried(messageOf(error))
    logger.warn({ reason: messageOf(error) }, 'a commit has to be tried again')
    await sleep(delayMs * (0.5 + Math.random()), undefined, { signal: abort.signal })
    return Math.min(delayMs * 2, LIMITS.retryDelayMsMax)
  }

  /**
   * Tries the same transaction until it is known what became of it. It is never repeated blindly:
   * the compare-and-set makes a second application impossible, and after a lost answer the row says
   * whether the first one was applied.
   */
  async function untilSettled(work: InCommit[], request: CommitRequest): Promise<InCommit[]> {
    let uncertain = false
    let refusals = 0
    for (let delayMs: number = LIMITS.retryDelayMsMin; ;) {
      const client = await connection.get(abort.signal)
      const result = (await numbersHold(client))
        ? await tryCommit(client, request)
        : { kind: 'committed' as const, fenced: [...request.parts] }
      if (result.kind === 'committed') {
        const applied = uncertain ? await findApplied(result.fenced) : new Set<CommitPart>()
        const lost = new Set(result.fenced.filter((part) => !applied.has(part)))
        return confirm(work, lost)
      }
      if (result.kind === 'unsettled') uncertain = true
      else if (isRefusal(result.error) && ++refusals === LIMITS.refusalsMax) {
        // The same rows would be refused for ever: the log is folded again into new ones.
        logger.error({ err: result.error }, 'Postgres refuses this commit: its states are dropped')
        return confirm(work, new Set(request.parts))
      }
      connection.discard()
      delayMs = await retry(result.error, delayMs)
    }
  }

  /**
   * A new connection may lead to a restored database. Partitions that stand there as we know them
   * pass the compare-and-set, but rows were sealed with numbers that their counters may not have.
   * A partition that was loaded from it meanwhile may have corrected the numbers, not the rows.
   */
  async function numbersHold(client: pg.Client): Promise<boolean> {
    if (counterIds.changes !== numbersSealed) return false
    if (client === numbersHoldOn) return true
    const hold = await counterIds.hold(client).catch(() => undefined)
    if (counterIds.changes !== numbersSealed) return false
    if (hold === true) numbersHoldOn = client
    // A connection that breaks here breaks for the commit too, which then is tried again.
    return hold ?? true
  }

  /** Of parts whose compare-and-set failed after a lost answer, those that our own try moved. */
  async function findApplied(parts: readonly CommitPart[]): Promise<Set<CommitPart>> {
    const applied = new Set<CommitPart>()
    await withConnection(async (client) => {
      const partitions = parts.map(({ sealed }) => sealed.state.partition)
      const stored = await readParts(client, schema, partitions)
      for (const part of parts) {
        const row = stored.get(part.sealed.state.partition)
        const isOurs = row?.token === part.token && row.revision === part.revision + 1
        if (isOurs && row.next === part.sealed.next) applied.add(part)
      }
    })
    return applied
  }

  function confirm(work: InCommit[], lost: ReadonlySet<CommitPart>): InCommit[] {
    const committed: InCommit[] = []
    for (const one of work) {
      if (lost.has(one.part)) {
        options.onFenced(one.owned)
      } else {
        one.owned.revision++
        committed.push(one)
      }
    }
    return committed
  }

  return {
    start() {
      running ??= run().catch((error: unknown) => {
        if (!abort.signal.aborted) throw error
      })
    },
    notify: () => pace.notify(),
    doubtNumbers: () => (numbersAreDoubtful = true),
    room: async (owned) => await pace.room(owned),
    async flush(owned) {
      while (!owned.dropped && owned.state !== undefined && !abort.signal.aborted) {
        const { state } = owned
        if (!state.isMoved && state.dirt.sums.size === 0) return
        pace.hurry()
        await pace.afterCommit()
      }
    },
    async stop() {
      draining = true
      pace.notify()
      const bound = sleep(LIMITS.drainMsMax, undefined, { ref: false })
      if (running !== undefined) await Promise.race([running, bound])
      abort.abort()
      pace.notify()
      // A statement that nobody answers would keep us for as long as it may take.
      connection.discard()
      await running
      // Whoever still waits for a commit must not wait for ever.
      pace.committed()
    },
    failingForMs: () => (failingSince === undefined ? 0 : performance.now() - failingSince),
  }
}

/** How many pages of a partition stay in memory. */
function pagesCached({ counters }: PartitionState): number {
  const totals = counters.list.reduce(
    (sum, counter) => sum + pageOfSlot(counter.dictionary.size) + 1,
    0,
  )
  return Math.min(Math.max(2 * totals, LIMITS.pagesCachedMin), LIMITS.pagesCachedMax)
}
