import { keyMark } from '@countersink/shared/key-filter'
import { generationSchema } from '@countersink/shared/postgres/pool'
import { canonicalDims, type SeriesKey } from '../core/series-lookups.ts'
import type { NewSlots } from '../core/tail-state.ts'
import type { SlotRef } from '../core/window-sums.ts'
import type { ClientBase } from 'pg'
import type { Database } from './database.ts'
import { runsSql } from './series-runs.ts'

/** So few keys are sooner looked for in every run than the runs' filters are read. */
const UNFILTERED_MAX = 4

/**
 * The slots of series, in the order asked for; none for a series that was never seen. Of each run
 * whose filter may have the key: the blocks that the key may be in. Those are the last one that
 * begins with less, and all that begin with the key: it may have more breakdowns than a block has room.
 */
export async function findSeries(
  database: Database,
  generation: number,
  series: readonly SeriesKey[],
): Promise<SlotRef[][]> {
  const marks = series.map(({ key }) => keyMark(key))
  const rows = await database.ask<{ i: number; partition: number; slot: number }>({
    name: `series_${generation}`,
    text: findSql(generationSchema(generation)),
    values: [
      series.map((s) => s.counter),
      series.map((s) => s.key),
      series.map((s) => s.dims),
      marks.map(({ hash }) => hash),
      marks.map(({ bits }) => bits),
      series.length > UNFILTERED_MAX,
    ],
  })
  const found = series.map((): SlotRef[] => [])
  for (const { i, partition, slot } of rows) found[i]?.push({ partition, slot })
  return found
}

/** What is read of a block is small only after its array was searched: by halves, which is 0.5 us. */
function findSql(s: string): string {
  const blocks = `
    select b.keys, b.slots, b.dims from ${s}.series_runs b
    where b.counter = k.counter and b.partition = k.partition and b.first = k.first`
  return `
    with recursive ${runsSql(s, 'select distinct unnest($1::int[])')}
    select k.i::int - 1 as i, k.partition, b.slots[u.place] as slot
    from runs r
    left join lateral (
      -- Concatenated it is in memory, and not read anew for each key.
      select f.filter || '{}'::bigint[] as words from ${s}.series_runs f
      where f.counter = r.counter and f.partition = r.partition and f.first = r.first
        and f.from_key = '' and f.block = 0 and $6::boolean
      offset 0
    ) f on true
    cross join lateral (
      select r.counter, r.partition, r.first, k.key collate "C" as key, k.dims, k.i
      from unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::bigint[])
        with ordinality k (counter, key, dims, hash, bits, i)
      where k.counter = r.counter
        and (f.words[k.hash % nullif(cardinality(f.words), 0) + 1] & k.bits = k.bits) is not false
      offset 0
    ) k
    cross join lateral (
      (${blocks} and b.from_key < k.key order by b.from_key desc, b.block desc limit 1)
      union all
      (${blocks} and b.from_key = k.key)
    ) b
    cross join lateral unnest(
      case when b.keys[width_bucket(k.key, b.keys)] = k.key
        then array_positions(b.keys, k.key) end
    ) u (place)
    where coalesce(b.dims[u.place], '{}') = k.dims::jsonb`
}

export type DealtSlot = { series: SeriesKey; slot: SlotRef }

/** The series that slots were dealt to lately, and with them perhaps a few that are newer still. */
export async function readDealtSlots(
  client: ClientBase,
  generation: number,
  slots: readonly NewSlots[],
): Promise<DealtSlot[]> {
  const { rows } = await client.query<{
    counter: number
    partition: number
    slot: number
    key: string
    dims: Record<string, string>
  }>({
    name: `dealt_${generation}`,
    text: dealtSql(generationSchema(generation)),
    values: [
      slots.map(({ counter }) => counter),
      slots.map(({ partition }) => partition),
      slots.map(({ above }) => above),
    ],
  })
  return rows.map(({ counter, partition, slot, key, dims }) => ({
    series: { counter, key, dims: canonicalDims(Object.entries(dims)) },
    slot: { partition, slot },
  }))
}

/** All of the runs from the one on that has the slot behind `above`. */
function dealtSql(s: string): string {
  return `
    select k.counter, k.partition, u.slot, u.key, coalesce(u.dims, '{}') as dims
    from unnest($1::int[], $2::int[], $3::int[]) k (counter, partition, above)
    left join lateral (
      select case when r.until > k.above + 1 then r.first else r.until end as first
      from ${s}.series_runs r
      where r.counter = k.counter and r.partition = k.partition and r.first <= k.above
      order by r.first desc limit 1
    ) f on true
    cross join lateral (
      select r.keys, r.slots, r.dims from ${s}.series_runs r
      where r.counter = k.counter and r.partition = k.partition and r.first >= coalesce(f.first, 0)
      offset 0
    ) r
    cross join lateral unnest(r.keys, r.slots, r.dims) u (key, slot, dims)
    where u.slot > k.above`
}
