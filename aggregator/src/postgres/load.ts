import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Contracts } from '@countersink/shared/contracts'
import { PAGE_SHIFT, PAGE_SLOTS } from '@countersink/shared/page-format'
import type pg from 'pg'
import type { PageKey } from '../core/sums/dirt.ts'
import type { HashKey } from '../core/keyed-hash.ts'
import { PartitionState } from '../core/partition-state.ts'
import type { RoutingVersions } from '../core/routing/placement.ts'
import type { ClaimedPartition } from './claim.ts'
import type { CounterIds } from './counter-ids.ts'
import { loadIds, type LoadRoom, ordinalsById } from './load-ids.ts'
import { loadRuns } from './load-runs.ts'
import { readPages, sumAt } from './page-reads.ts'

const DELTA_ROWS_PER_READ_MAX = 1000

export type LoadRequest = {
  schema: string
  claimed: ClaimedPartition
  routing: RoutingVersions
  hashKey: HashKey
  contracts: Contracts
  counterIds: CounterIds
  /** Ends the load early by an exception: the partition was revoked meanwhile. */
  signal: AbortSignal
  /** Without one the ids may take as much as they need. */
  room?: LoadRoom
}

/**
 * Builds a claimed partition's state from what Postgres has: counters and clocks, series, the ids
 * that are still remembered, and the dirt. After the claim nobody else can write any of it.
 */
export async function loadPartition(
  client: pg.ClientBase,
  request: LoadRequest,
): Promise<PartitionState> {
  const { claimed, routing, hashKey, contracts } = request
  const { partition, next, appendMax } = claimed
  const state = new PartitionState({ partition, routing, hashKey, contracts, next, appendMax })
  await loadCounters(client, request, state)
  await loadSeries(client, request, state)
  await loadIds(client, request, state)
  await loadDirt(client, request, state)
  return state
}

async function loadCounters(client: pg.ClientBase, request: LoadRequest, state: PartitionState) {
  const { rows } = await client.query<{ name: string; clock: string }>(
    `select c.name, p.clock from ${request.schema}.partition_counters p
     join ${request.schema}.counters c using (counter)
     where p.partition = $1 order by p.ordinal`,
    [state.partition],
  )
  for (const { name, clock } of rows) state.counters.restore(name, Number(clock))
  for (const [ordinal, { clock }] of state.counters.list.entries()) {
    state.dirt.stored.loaded(ordinal, clock)
  }
  const contracts = state.counters.list.map(({ name, contract }) => [name, contract] as const)
  if (contracts.length > 0) await request.counterIds.ensure(client, new Map(contracts))
}

async function loadSeries(client: pg.ClientBase, request: LoadRequest, state: PartitionState) {
  for (const counter of state.counters.list) {
    const place = { counter: request.counterIds.of(counter.name), partition: state.partition }
    await loadRuns(client, request.schema, place, counter, request.signal)
  }
}

type DeltaRow = {
  first: string
  counter: number
  start: string
  slots: number[]
  deltas: string[]
  carries: string[] | null
}

async function loadDirt(client: pg.ClientBase, request: LoadRequest, state: PartitionState) {
  const ordinals = ordinalsById(request, state)
  const rows = await readDeltas(client, request)
  const keys = new Map<string, PageKey>()
  for (const row of rows) {
    for (const key of keysOf(state, ordinals, row)) keys.set(nameOf(key), key)
  }
  await readPages(client, request.schema, request.counterIds, state, [...keys.values()])
  for (const row of rows) {
    request.signal.throwIfAborted()
    restoreDirt(state, ordinals, row)
    // The partitions that are live must not stand still meanwhile.
    await nextTurn()
  }
}

/** The log from the floor on: bounded by the bound on dirt, which moves the floor. */
async function readDeltas(client: pg.ClientBase, request: LoadRequest): Promise<DeltaRow[]> {
  const all: DeltaRow[] = []
  let from = request.claimed.floor
  for (;;) {
    request.signal.throwIfAborted()
    // Whole commits at a time: the last one of a full answer is read again with the next.
    const { rows } = await client.query<DeltaRow>(
      `select first, counter, start, slots, coalesce(small_deltas::bigint[], deltas) as deltas,
         carries
       from ${request.schema}.window_deltas
       where partition = $1 and first >= $2 and first in (
         select first from ${request.schema}.commits where partition = $1 and first >= $2
         order by first limit $3)
       order by first`,
      [request.claimed.partition, from, DELTA_ROWS_PER_READ_MAX],
    )
    all.push(...rows)
    const reached = await client.query<{ next: string | null; count: string }>(
      `select max(next) as next, count(*) as count from (
         select next from ${request.schema}.commits where partition = $1 and first >= $2
         order by first limit $3) c`,
      [request.claimed.partition, from, DELTA_ROWS_PER_READ_MAX],
    )
    const { next, count } = reached.rows[0]!
    if (next === null || Number(count) < DELTA_ROWS_PER_READ_MAX) return all
    from = Number(next)
  }
}

function nameOf({ counter, size, start, page }: PageKey): string {
  return `${counter} ${size} ${start} ${page}`
}

/** The pages that a row of deltas, slots ascending, touches: the totals' and the windows'. */
function* keysOf(
  state: PartitionState,
  ordinals: ReadonlyMap<number, number>,
  row: DeltaRow,
): Generator<PageKey> {
  let last = -1
  for (const slot of row.slots) {
    const page = slot >> PAGE_SHIFT
    if (page === last) continue
    last = page
    yield* keysOfPage(state, ordinals.get(row.counter)!, Number(row.start), page)
  }
}

function* keysOfPage(
  state: PartitionState,
  counter: number,
  start: number,
  page: number,
): Generator<PageKey> {
  yield { counter, size: 0, start: 0, page }
  for (const size of state.counters.list[counter]!.contract.windowSizesMs) {
    yield { counter, size, start: Math.floor(start / size) * size, page }
  }
}

function restoreDirt(
  state: PartitionState,
  ordinals: ReadonlyMap<number, number>,
  row: DeltaRow,
): void {
  const { dirt } = state
  const first = Number(row.first)
  const counter = ordinals.get(row.counter)!
  let last = -1
  let keys: PageKey[] = []
  for (const [i, slot] of row.slots.entries()) {
    const page = slot >> PAGE_SHIFT
    if (page !== last) {
      // A page that was written since has these deltas already.
      keys = [...keysOfPage(state, counter, Number(row.start), page)].filter((key) => {
        const cached = dirt.cache.find(key.counter, key.size, key.start, key.page)
        return cached < 0 || dirt.cache.from[cached]! <= first
      })
      last = page
    }
    if (keys.length === 0) continue
    const delta = sumAt(row.deltas, row.carries, i)
    for (const key of keys) dirt.restore(key, slot % PAGE_SLOTS, delta, first)
  }
}
