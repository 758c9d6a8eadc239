import { randomUUID } from 'node:crypto'
import { BatchFold } from '@countersink/aggregator/core/batch-fold'
import { type Candidate, IdBudget } from '@countersink/aggregator/core/ids/id-budget'
import type { CoolingIds } from '@countersink/aggregator/core/ids/id-memory'
import type { HashKey } from '@countersink/aggregator/core/keyed-hash'
import type { PartitionState } from '@countersink/aggregator/core/partition-state'
import { RoutingVersions } from '@countersink/aggregator/core/routing/placement'
import { claimPartitions } from '@countersink/aggregator/postgres/claim'
import { type CommitTry, tryCommit } from '@countersink/aggregator/postgres/commit'
import { deleteExpired } from '@countersink/aggregator/postgres/cold-deletes'
import { readColdIds } from '@countersink/aggregator/postgres/cold-reads'
import { writeColdRun } from '@countersink/aggregator/postgres/cold-writes'
import { CounterIds } from '@countersink/aggregator/postgres/counter-ids'
import { loadPartition } from '@countersink/aggregator/postgres/load'
import { LogRows } from '@countersink/aggregator/postgres/log-rows'
import { moveLog } from '@countersink/aggregator/postgres/move-log'
import { readPages } from '@countersink/aggregator/postgres/page-reads'
import { PageWrites } from '@countersink/aggregator/postgres/page-writes'
import { sealPartition } from '@countersink/aggregator/postgres/seal'
import type { Contracts } from '@countersink/shared/contracts'
import type { RecordBatch } from '@countersink/shared/kafka/fetched-batch'
import type { Clients } from './client-bed.ts'
import { fetchedFrom } from './log-batches.ts'

export type DriverOptions = Clients & {
  schema: string
  partition: number
  hashKey: HashKey
  /** Ids leave the memory as soon as they may; undefined: never. */
  cold?: LeavingIds | undefined
}

/** Those that are worth a run of their own, or however few: as when the alternative is a halt. */
export type LeavingIds = 'worth-it' | 'any'

/** What a commit writes and what becomes of it. */
export type CommitPlan = {
  /** Which dirty pages it writes: the i-th oldest when `picks[i % picks.length]`. */
  picks: readonly boolean[]
  /** Pages kept in memory afterwards. */
  cachedMax: number
  /** The first try is broken off by an error of the server and rolled back. */
  fails: boolean
}

/**
 * The aggregator's own parts from the fold to the tables, for one partition, without Kafka, timers
 * or retries: a test says what happens when. `crash` forgets all that is in memory.
 */
export class PartitionDriver {
  readonly #options: DriverOptions
  readonly #fold = new BatchFold()
  readonly #log: LogRows
  readonly #pages: PageWrites
  #counterIds: CounterIds
  #token = ''
  #revision = 0
  /** By the commit whose ids they are all in. */
  #cooling: CoolingIds[] = []
  readonly #budget = new IdBudget(1)
  coldFound = 0
  lastResorts = 0
  #state: PartitionState | undefined

  constructor(options: DriverOptions) {
    this.#options = options
    this.#log = new LogRows(options.schema)
    this.#pages = new PageWrites(options.schema)
    this.#counterIds = new CounterIds(options.schema)
  }

  get state(): PartitionState {
    if (this.#state === undefined) throw new Error('the partition is not claimed')
    return this.#state
  }

  /** Claims the partition and loads it, as a new owner does. */
  async claim(contracts: Contracts): Promise<void> {
    const { client, schema, partition, hashKey } = this.#options
    this.#token = randomUUID()
    const starts = new Map([[partition, 0]])
    const request = { schema, token: this.#token, owner: 'test', starts, contracts }
    const [claimed] = await claimPartitions(client, request)
    if (claimed === undefined) throw new Error('nothing was claimed')
    this.#revision = claimed.revision
    this.#counterIds = new CounterIds(schema)
    const counterIds = this.#counterIds
    const { signal } = new AbortController()
    const routing = RoutingVersions.fixed(1)
    const load = { schema, claimed, routing, hashKey, contracts, counterIds, signal }
    this.#cooling = []
    const cool = async (state: PartitionState, through: number): Promise<void> => {
      if (this.#options.cold === undefined) return
      this.#beginCooling(state, through)
      await this.#endCooling(state)
    }
    const room = {
      idsMax: 1,
      isFull: () => true,
      expect: () => undefined,
      settle: async (_: unknown, state: PartitionState, through: number) => cool(state, through),
    }
    this.#state = await loadPartition(client, { ...load, room })
  }

  /**
   * Folds batches, as one fetch at `fetchedOffset` brings them. Where ids have to be looked for in
   * Postgres, what was folded before them is committed meanwhile.
   */
  async fold(batches: readonly RecordBatch[], fetchedOffset: number): Promise<void> {
    const fetched = fetchedFrom(this.#options.partition, fetchedOffset, batches)
    for (;;) {
      const unreadable = this.#fold.run(this.state, fetched)
      if (unreadable !== undefined) throw new Error(unreadable.reason)
      if (!this.#fold.lacks) return
      await this.commit({ picks: [], cachedMax: 1000, fails: false })
      await this.#answer()
    }
  }

  async #answer(): Promise<void> {
    const { client, schema } = this.#options
    const { cold } = this.state.ids.hashed
    const asked = cold.takeQuestions()
    const payloads = await readColdIds(client, schema, this.#counterIds, this.state, asked)
    for (const [i, question] of asked.entries()) cold.answer(question, payloads[i])
    this.coldFound += payloads.filter((payload) => payload !== undefined).length
  }

  #beginCooling(state: PartitionState, through: number): void {
    for (;;) {
      const next = this.#nextToLeave(state)
      if (next === undefined) return
      this.#cooling.push(state.ids.hashed.beginCooling(next.bucket, through))
    }
  }

  #nextToLeave(state: PartitionState): Candidate | undefined {
    const oldest = this.#budget.candidate([state], true)
    if (oldest !== undefined || this.#options.cold !== 'any') return oldest
    const largest = this.#budget.lastResort([state], true)
    if (largest !== undefined) this.lastResorts++
    return largest
  }

  /** Those whose ids are not all in commits yet, or not ours any more, stay where they are. */
  async #endCooling(state: PartitionState, isUsed = true): Promise<void> {
    const { client, schema, partition } = this.#options
    const ids = state.ids.hashed
    const rest: CoolingIds[] = []
    for (const cooling of this.#cooling) {
      const counter = this.#counterIds.of(state.counters.list[cooling.counter]!.name)
      const write = { schema, partition, token: this.#token, counter, ids, cooling }
      const run = await writeColdRun(client, { ...write, isLost: () => false })
      if (run !== undefined && isUsed) ids.endCooling(cooling, run)
      else if (!cooling.isDead) rest.push(cooling)
    }
    this.#cooling = rest
  }

  async commit(plan: CommitPlan): Promise<CommitTry> {
    const { client, writer, schema } = this.#options
    const { state } = this
    const counters = new Map(state.counters.list.map(({ name, contract }) => [name, contract]))
    await this.#counterIds.ensure(writer, counters)
    this.#log.begin()
    this.#pages.begin()
    const sealed = sealPartition(state, this.#counterIds, this.#log)
    if (this.#options.cold !== undefined) {
      this.#beginCooling(state, state.first)
      // Before the commit: the fence lets none of those through that have ids of it.
      if (plan.fails) await this.#endCooling(state)
    }
    await this.#addPages(state, sealed.next, plan)
    const floor = state.dirt.floor(sealed.next)
    const part = { sealed, token: this.#token, revision: this.#revision, floor, record: undefined }
    const request = { schema, parts: [part], log: this.#log, pages: this.#pages }
    if (plan.fails) await this.#failOnce(request)
    const result = await tryCommit(writer, request)
    if (result.kind === 'committed' && result.fenced.length === 0) this.#revision++
    state.dirt.evict(plan.cachedMax)
    // Sometimes they are written only, as by a process that dies before it uses them.
    await this.#endCooling(state, plan.picks.length % 3 !== 1)
    await deleteExpired(client, schema, this.#counterIds, {
      ...{ partition: state.partition, token: this.#token, state },
    })
    return result
  }

  /** An operator's decision: on to `to`, once everything is committed and every page written. */
  async move(to: number): Promise<boolean> {
    const { client, schema, partition } = this.#options
    const all = { picks: [true], cachedMax: 1000, fails: false }
    await this.commit(all)
    const from = this.state.next
    const [token, revision] = [this.#token, this.#revision]
    return await moveLog(client, { schema, partition, token, revision, from, to, reason: 'test' })
  }

  /**
   * Writes runs as an owner does that does not know yet that the log was moved, of ids that are in
   * commits before `through`. Gives of each bucket whether it was written.
   */
  async writeLate(through: number): Promise<boolean[]> {
    const { client, schema, partition } = this.#options
    const { state } = this
    const ids = state.ids.hashed
    const written: boolean[] = []
    for (const bucket of ids.buckets()) {
      if (bucket.cooling !== undefined || bucket.count === 0) continue
      const cooling = ids.beginCooling(bucket, through)
      const counter = this.#counterIds.of(state.counters.list[bucket.counter]!.name)
      const late = { schema, partition, token: this.#token, counter, ids, cooling }
      const run = await writeColdRun(client, { ...late, isLost: () => false })
      written.push(run !== undefined)
    }
    return written
  }

  async #addPages(state: PartitionState, next: number, { picks }: CommitPlan): Promise<void> {
    const { writer, schema } = this.#options
    const dirty = state.dirt.oldest(Infinity)
    const due = dirty.filter((_, i) => picks.length > 0 && picks[i % picks.length] === true)
    const unknown = due.filter((block) => state.dirt.isUnknown(block))
    const keys = unknown.map((block) => state.dirt.keyOf(block))
    await readPages(writer, schema, this.#counterIds, state, keys)
    this.#pages.add(state, due, next, this.#counterIds)
  }

  /** The whole transaction, but for its end: the last statement before COMMIT is an error. */
  async #failOnce(request: Parameters<typeof tryCommit>[1]): Promise<void> {
    const { writer } = this.#options
    const failing = new Proxy(writer, {
      get(target, name) {
        if (name !== 'query') return Reflect.get(target, name) as unknown
        const run = target.query.bind(target)
        return (query: unknown, ...rest: unknown[]): unknown => {
          const text = query === 'commit' ? 'select 1/0' : query
          return Reflect.apply(run, undefined, [text, ...rest])
        }
      },
    })
    const result = await tryCommit(failing, request)
    if (result.kind !== 'rolled-back') throw new Error(`the try that had to fail: ${result.kind}`)
    await writer.query('rollback')
  }
}
