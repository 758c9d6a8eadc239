import { generationSchema } from '@countersink/shared/postgres/pool'
import { canonicalDims, type SeriesKey } from '../core/series-lookups.ts'
import type { NewSlots } from '../core/tail-state.ts'
import type { SlotRef } from '../core/window-sums.ts'
import type { ClientBase } from 'pg'
import type { Database } from './database.ts'

/** The slots of series, in the order asked for; none for a series that was never seen. */
export async function findSeries(
  database: Database,
  generation: number,
  series: readonly SeriesKey[],
): Promise<SlotRef[][]> {
  const rows = await database.ask<{ i: number; partition: number; slot: number }>({
    name: `series_${generation}`,
    text: `
      select k.i::int - 1 as i, s.partition, s.slot
      from unnest($1::int[], $2::text[], $3::text[]) with ordinality k (counter, key, dims, i)
      join ${generationSchema(generation)}.series s
        on s.counter = k.counter and s.key = k.key and s.dims = k.dims::jsonb`,
    values: [series.map((s) => s.counter), series.map((s) => s.key), series.map((s) => s.dims)],
  })
  const found = series.map((): SlotRef[] => [])
  for (const { i, partition, slot } of rows) found[i]?.push({ partition, slot })
  return found
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
    text: `
      select s.counter, s.partition, s.slot, s.key, s.dims
      from unnest($1::int[], $2::int[], $3::int[]) k (counter, partition, above)
      join ${generationSchema(generation)}.series s
        on s.counter = k.counter and s.partition = k.partition and s.slot > k.above`,
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
