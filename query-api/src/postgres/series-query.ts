import { keyMark } from '@countersink/shared/key-filter'
import { generationSchema } from '@countersink/shared/postgres/pool'
import { canonicalDims, type SeriesKey } from '../core/series-lookups.ts'
import type { NewSlots } from '../core/tail-state.ts'
import type { SlotRef } from '../core/window-sums.ts'
import type { ClientBase } from 'pg'
import type { Database } from './database.ts'
import { runsSql } from './series-runs.ts'

type FoundSlot = { i: number; partition: number; slot: number }

/** The slots of series, in the order asked for; none for a series that was never seen. */
export async function findSeries(
  database: Database,
  generation: number,
  series: readonly SeriesKey[],
): Promise<SlotRef[][]> {
  const found = series.map((): SlotRef[] => [])
  const [one] = series
  const rows =
    series.length === 1 && one !== undefined
      ? await findOne(database, generation, one)
      : await findMany(database, generation, series)
  for (const { i, partition, slot } of rows) found[i]?.push({ partition, slot })
  return found
}

function findOne(database: Database, generation: number, one: SeriesKey): Promise<FoundSlot[]> {
  return database.ask<FoundSlot>({
    name: `one_series_${generation}`,
    text: findOneSql(generationSchema(generation)),
    values: [one.counter, one.key, one.dims],
  })
}

function findMany(
  database: Database,
  generation: number,
  series: readonly SeriesKey[],
): Promise<FoundSlot[]> {
  const marks = series.map(({ key }) => keyMark(key))
  return database.ask<FoundSlot>({
    name: `series_${generation}`,
    text: findManySql(generationSchema(generation)),
    values: [
      series.map((s) => s.counter),
      series.map((s) => s.key),
      series.map((s) => s.dims),
      marks.map(({ hash }) => hash),
      marks.map(({ bits }) => bits),
    ],
  })
}

/**
 * The blocks of the run `k` that its key may be in: the last one that begins with less, and all that
 * begin with the key, which may have more breakdowns than a block has room.
 */
function blocksSql(s: string): string {
  const ofRun = `
    select b.keys, b.slots, b.dims from ${s}.series_runs b
    where b.counter = k.counter and b.partition = k.partition and b.first = k.first`
  return `
    (${ofRun} and b.from_key < k.key order by b.from_key desc, b.block desc limit 1)
    union all
    (${ofRun} and b.from_key = k.key)`
}

/** The slots `u` of the series `k` in the block `b`, whose keys are searched by halves first: 0.5 us. */
const SLOTS = `
  select b.slots[place] as slot
  from unnest(
    case when b.keys[width_bucket(k.key, b.keys)] = k.key then array_positions(b.keys, k.key) end
  ) place
  where coalesce(b.dims[place], '{}') = k.dims::jsonb`

/**
 * One key goes from run to run: a probe gives the last block that does not begin with more than the
 * key, and where the next run begins, in a third of what the runs' list and their filters take. Seldom
 * does that block begin with the key: then there may be more of them.
 */
function findOneSql(s: string): string {
  const asked = `select $1::int as counter, $2::text collate "C" as key, $3::text as dims`
  const blockAt = (first: string): string => `
    cross join lateral (
      select b.first, b.until, b.from_key = k.key as begins, array(${SLOTS}) as slots
      from ${s}.series_runs b
      where b.counter = k.counter and b.partition = p.partition and b.first = ${first}
        and b.from_key <= k.key
      order by b.from_key desc, b.block desc limit 1
    ) b`
  return `
    with recursive steps (partition, first, until, begins, slots) as (
      select p.partition, b.* from (${asked}) k cross join ${s}.partitions p ${blockAt('0')}
      union all
      select p.partition, b.* from (${asked}) k cross join steps p ${blockAt('p.until')}
    )
    select 0 as i, p.partition, u.slot
    from steps p cross join unnest(p.slots) u (slot) where not p.begins
    union all
    select 0, k.partition, u.slot
    from (select * from (${asked}) a cross join steps where begins) k
    cross join lateral (${blocksSql(s)}) b
    cross join lateral (${SLOTS}) u`
}

/** More keys are looked for in the runs whose filters may have them, or that have none. */
function findManySql(s: string): string {
  return `
    with recursive ${runsSql(s, 'select distinct unnest($1::int[])')}
    select k.i::int - 1 as i, k.partition, u.slot
    from runs r
    left join lateral (
      -- Concatenated it is in memory, and not read anew for each key.
      select f.filter || '{}'::bigint[] as words from ${s}.series_runs f
      where f.counter = r.counter and f.partition = r.partition and f.first = r.first
        and f.from_key = '' and f.block = 0
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
    cross join lateral (${blocksSql(s)}) b
    cross join lateral (${SLOTS}) u`
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
