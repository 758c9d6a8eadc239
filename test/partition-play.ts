import assert from 'node:assert/strict'
import { BatchFold } from '@countersink/aggregator/core/batch-fold'
import { hashKeyOf } from '@countersink/aggregator/core/keyed-hash'
import { PartitionState } from '@countersink/aggregator/core/partition-state'
import { RoutingVersions } from '@countersink/aggregator/core/routing/placement'
import type { Contract, Contracts } from '@countersink/shared/contracts'
import type { RecordBatch } from '@countersink/shared/kafka/fetched-batch'
import { type Outcome, readOutcomes } from '@countersink/shared/outcomes'
import type pg from 'pg'
import type { Clients } from './client-bed.ts'
import { fetchedFrom, storedBatch } from './log-batches.ts'
import {
  expanded,
  type LogBatch,
  type LogItem,
  type LogPlan,
  type Step,
  VERSIONS,
} from './log-cases.ts'
import { Oracle } from './oracle/oracle.ts'
import { type LeavingIds, PartitionDriver } from './partition-driver.ts'
import { readTotals, readWindows, withoutZeros } from './view-sums.ts'

const SCHEMA = 'countersink_1'
const SECRET = hashKeyOf(Buffer.from('0123456789abcdef'))
const SKEW_MS = 300_000

let plays = 0

async function store(log: readonly LogBatch[], run: string, base = 0): Promise<RecordBatch[]> {
  const stored: RecordBatch[] = []
  let offset = base
  for (const { appendTimeMs, items } of log) {
    const records = items.map((one) => ({ value: valueOf(one, run), appendTimeMs }))
    stored.push(await storedBatch(records, offset))
    offset += items.length
  }
  return stored
}

function valueOf(one: LogItem, run: string): Buffer | null {
  if (one === 'null') return null
  if (one === 'garbage') return Buffer.from('{"id":')
  return Buffer.from(JSON.stringify({ ...one, counter: named(one.counter, run) }))
}

function named(counter: string, run: string): string {
  return `${counter}-${run}`
}

type Change = { fromOffset: number; contracts: Contracts }

/** A log and the names in it; `before` lay in the same offsets until the topic was made again. */
type Told = { log: readonly LogBatch[]; base: number; before: readonly LogBatch[]; run: string }

/** Folds the log up to `next`, each contract from its offset on. */
function oracleOf({ log, base, before, run }: Told, next: number, changes: Change[]): Oracle {
  const oracle = new Oracle(oracleContract(changes[0]!.contracts))
  const pending = changes.slice(1)
  foldInto(oracle, before, run)
  let offset = base
  for (const { appendTimeMs, items } of log) {
    for (const one of items) {
      if (offset === next) return oracle
      while (pending[0]?.fromOffset === offset) {
        oracle.changeContract(oracleContract(pending.shift()!.contracts))
      }
      foldInto(oracle, [{ appendTimeMs, items: [one] }], run)
      offset++
    }
  }
  return oracle
}

function foldInto(oracle: Oracle, log: readonly LogBatch[], run: string): void {
  for (const { appendTimeMs, items } of log) {
    for (const one of items) {
      if (typeof one === 'string') oracle.invalid(appendTimeMs)
      else oracle.apply({ ...one, counter: named(one.counter, run) }, appendTimeMs)
    }
  }
}

function oracleContract({ fallback }: Contracts) {
  const { latenessMs, windowSizesMs, breakdowns, positiveOnly, deltaMax } = fallback as Contract
  return {
    latenessMs,
    windowSizesMs: [...windowSizesMs],
    breakdowns: breakdowns.map((names) => [...names]),
    positiveOnly,
    deltaMax,
    skewMs: SKEW_MS,
  }
}

async function storedNext(client: pg.Client, partition: number): Promise<number> {
  const { rows } = await client.query<{ next: string; sound: boolean }>(
    `select next, floor <= next and read = applied + duplicate + conflict + late + invalid as sound
     from ${SCHEMA}.partitions where partition = $1`,
    [partition],
  )
  assert.equal(rows[0]?.sound, true)
  return Number(rows[0]?.next)
}

/** Of the offsets from `base` to `end`, whose commits form a chain without a hole. */
async function storedOutcomes(
  client: pg.Client,
  partition: number,
  base: number,
  end: number,
): Promise<Outcome[]> {
  const outcomes = Array.from({ length: end - base }, (): Outcome => 'applied')
  const { rows } = await client.query<{ first: string; next: string; outcomes: Buffer }>(
    `select first, next, outcomes from ${SCHEMA}.commits where partition = $1 order by first`,
    [partition],
  )
  let next = base
  for (const row of rows) {
    assert.equal(Number(row.first), next)
    next = Number(row.next)
    for (const entry of readOutcomes(row.outcomes, Number(row.first))) {
      outcomes[entry.offset - base] = entry.outcome
    }
  }
  assert.equal(next, end)
  return outcomes
}

/** What readers see at this moment is the log folded up to the stored offset, and no other. */
async function expectExact(
  client: pg.Client,
  told: Told,
  partition: number,
  changes: Change[],
): Promise<void> {
  const next = await storedNext(client, partition)
  const oracle = oracleOf(told, next, changes)
  const counters = ['views', 'likes', 'future'].map((counter) => named(counter, told.run))
  assert.deepEqual(withoutZeros(await readTotals(client, counters)), withoutZeros(oracle.totals))
  assert.deepEqual(await readWindows(client, counters), oracle.windows)
  const outcomes = await storedOutcomes(client, partition, told.base, next)
  assert.deepEqual(outcomes, oracle.outcomes.slice(-outcomes.length || Infinity))
}

export type Case = { log: LogPlan; steps: Step[]; changing: boolean }

/** One partition of its own in the tables, with its owner, and a rival who comes and goes. */
export class Play {
  readonly partition = plays++
  readonly run = String(this.partition)
  readonly changes: Change[] = [{ fromOffset: 0, contracts: VERSIONS[0]! }]
  told: Told = { log: [], base: 0, before: [], run: this.run }
  stored: RecordBatch[] = []
  readonly clients: Clients
  readonly driver: PartitionDriver
  readonly #rival: PartitionDriver
  #version = 0

  readonly #cold: LeavingIds | undefined

  constructor(clients: Clients, cold?: LeavingIds) {
    this.clients = clients
    this.#cold = cold
    this.driver = this.#driver()
    this.#rival = this.#driver()
  }

  #driver(): PartitionDriver {
    const { clients, partition } = this
    const cold = this.#cold
    return new PartitionDriver({ ...clients, schema: SCHEMA, partition, hashKey: SECRET, cold })
  }

  /** From now on offsets from `base` on mean this log. */
  async begin(log: LogPlan, base: number): Promise<void> {
    const before = [...this.told.before, ...this.told.log]
    this.told = { log: expanded(log), base, before, run: this.run }
    this.stored = await store(this.told.log, this.run, base)
    await this.driver.claim(VERSIONS[this.#version]!)
  }

  async take(step: Step, changing: boolean): Promise<void> {
    if (step.kind === 'fold') return await this.#fold(this.driver, step.batches, step.again)
    if (step.kind === 'crash') return await this.#crash(changing ? step.version : 0)
    if (step.kind === 'commit') {
      assert.deepEqual(await this.driver.commit(step.plan), { kind: 'committed', fenced: [] })
    } else {
      await this.#rival.claim(VERSIONS[this.#version]!)
      await this.#fold(this.#rival, 2, 0)
      await this.driver.claim(VERSIONS[this.#version]!)
      const result = await this.#rival.commit({ ...step.plan, fails: false })
      assert.equal(result.kind === 'committed' && result.fenced.length, 1)
    }
    await this.check()
  }

  async finish(): Promise<void> {
    await this.#fold(this.driver, this.stored.length, 0)
    await this.driver.commit({ picks: [], cachedMax: 1000, fails: false })
    assert.equal(
      await storedNext(this.clients.client, this.partition),
      this.stored.at(-1)!.nextOffset,
    )
    await this.check()
  }

  async check(): Promise<void> {
    await expectExact(this.clients.client, this.told, this.partition, this.changes)
  }

  async #crash(version: number): Promise<void> {
    if (version > this.#version) {
      this.#version = version
      const fromOffset = await storedNext(this.clients.client, this.partition)
      this.changes.push({ fromOffset, contracts: VERSIONS[version]! })
    }
    await this.driver.claim(VERSIONS[this.#version]!)
  }

  async #fold(one: PartitionDriver, count: number, again: number): Promise<void> {
    const first = this.stored.findIndex(({ nextOffset }) => nextOffset > one.state.next)
    if (first < 0) return
    const some = this.stored.slice(Math.max(0, first - again), first + count)
    await one.fold(some, some[0]!.baseOffset)
  }
}

/** Runs the steps, then folds and commits what is left; gives the partition as it is then. */
export async function play(
  clients: Clients,
  { log, steps, changing, cold }: Case & { cold?: LeavingIds },
): Promise<Play> {
  const one = new Play(clients, cold)
  await one.begin(log, 0)
  for (const step of steps) await one.take(step, changing)
  await one.finish()
  return one
}

/** The same log folded at once, in memory alone. */
export function neverCrashed(stored: readonly RecordBatch[], partition: number): PartitionState {
  const state = new PartitionState({
    partition,
    routing: RoutingVersions.fixed(1),
    hashKey: SECRET,
    contracts: VERSIONS[0]!,
    next: 0,
    appendMax: 0,
  })
  new BatchFold().run(state, fetchedFrom(partition, 0, stored))
  state.dirt.absorb(state.open, 0, state.counters.list)
  return state
}
