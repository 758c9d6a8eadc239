import { fromLimbs } from '@countersink/shared/page-format'
import type pg from 'pg'
import type { PageKey } from '../core/sums/dirt.ts'
import type { PartitionState } from '../core/partition-state.ts'
import { int4s, int8s } from './binary-arrays.ts'
import type { CounterIds } from './counter-ids.ts'

/** Pages read by one statement: a bound on what its answer can hold. */
const PAGES_PER_READ_MAX = 1024

type TotalRow = { i: string; next: string; totals: string[]; carries: string[] | null }
type WindowRow = {
  i: string
  next: string
  slots: number[]
  deltas: string[]
  carries: string[] | null
}

/**
 * Reads stored pages into the state's cache. Those that do not exist stay uncached: whoever writes
 * one adds it. Only the partition's owner may call this: nobody else writes its pages.
 */
export async function readPages(
  client: pg.ClientBase,
  schema: string,
  counterIds: CounterIds,
  state: PartitionState,
  keys: readonly PageKey[],
): Promise<void> {
  for (let i = 0; i < keys.length; i += PAGES_PER_READ_MAX) {
    const some = keys.slice(i, i + PAGES_PER_READ_MAX)
    const totals = some.filter(({ size }) => size === 0)
    const windows = some.filter(({ size }) => size !== 0)
    if (totals.length > 0) await readTotals(client, schema, counterIds, state, totals)
    if (windows.length > 0) await readWindows(client, schema, counterIds, state, windows)
  }
}

function numbersOf(
  state: PartitionState,
  counterIds: CounterIds,
  keys: readonly PageKey[],
): Buffer {
  return int4s(keys.map(({ counter }) => counterIds.of(state.counters.list[counter]!.name)))
}

async function readTotals(
  client: pg.ClientBase,
  schema: string,
  counterIds: CounterIds,
  state: PartitionState,
  keys: readonly PageKey[],
): Promise<void> {
  const { rows } = await client.query<TotalRow>(
    `select u.i, t.next, coalesce(t.small_totals::bigint[], t.totals) as totals, t.carries
     from unnest($1::int[], $2::int[]) with ordinality u (counter, page, i)
     join ${schema}.total_pages_512 t
       on t.counter = u.counter and t.partition = $3 and t.page = u.page`,
    [numbersOf(state, counterIds, keys), int4s(keys.map(({ page }) => page)), state.partition],
  )
  const { dirt } = state
  for (const row of rows) {
    const block = dirt.addPage(keys[Number(row.i) - 1]!, Number(row.next))
    for (let index = 0; index < row.totals.length; index++) {
      dirt.cache.set(block, index, sumAt(row.totals, row.carries, index))
    }
  }
}

async function readWindows(
  client: pg.ClientBase,
  schema: string,
  counterIds: CounterIds,
  state: PartitionState,
  keys: readonly PageKey[],
): Promise<void> {
  const { rows } = await client.query<WindowRow>(
    `select u.i, w.next, w.slots, coalesce(w.small_deltas::bigint[], w.deltas) as deltas, w.carries
     from unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[]) with ordinality
       u (counter, page, size, start, i)
     join ${schema}.window_pages_512 w on w.counter = u.counter and w.partition = $5
       and w.page = u.page and w.size = u.size and w.start = u.start`,
    [
      numbersOf(state, counterIds, keys),
      int4s(keys.map(({ page }) => page)),
      int8s(keys.map(({ size }) => size)),
      int8s(keys.map(({ start }) => start)),
      state.partition,
    ],
  )
  const { dirt } = state
  for (const row of rows) {
    const block = dirt.addPage(keys[Number(row.i) - 1]!, Number(row.next))
    for (const [i, slot] of row.slots.entries()) {
      dirt.cache.set(block, slot, sumAt(row.deltas, row.carries, i))
    }
  }
}

/** The sum that element i of a stored array and its carries stand for. */
export function sumAt(
  lows: readonly string[],
  carries: readonly string[] | null,
  i: number,
): bigint {
  return fromLimbs(BigInt(lows[i]!), carries === null ? 0n : BigInt(carries[i]!))
}
