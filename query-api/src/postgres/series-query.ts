import { generationSchema } from '@countersink/shared/postgres/pool'
import type { SlotRef } from '../core/window-sums.ts'
import type { Database } from './database.ts'

/** One series by the number of its counter. `dims` is JSON of an object; '{}' is the total. */
export type SeriesKey = { counter: number; key: string; dims: string }

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
