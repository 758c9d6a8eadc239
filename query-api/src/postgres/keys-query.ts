import { generationSchema } from '@countersink/shared/postgres/pool'
import type { Database } from './database.ts'

/**
 * Keys of a counter that begin with `prefix`, in the order of their bytes, those after `after`.
 * Walks the index from key to key, so that a key with many breakdowns costs no more than any other.
 */
export async function listKeys(
  database: Database,
  generation: number,
  counter: number,
  prefix: string,
  after: string,
  limit: number,
): Promise<string[]> {
  const s = generationSchema(generation)
  const rows = await database.ask<{ key: string }>({
    name: `keys_${generation}`,
    text: `
      with recursive found (key, n) as (
        (select key, 1 from ${s}.series
         where counter = $1 and key >= $2 and key > $3 order by key limit 1)
        union all
        select (select s.key from ${s}.series s
                where s.counter = $1 and s.key > found.key order by s.key limit 1), n + 1
        from found where starts_with(found.key, $2) and n < $4
      )
      select key from found where starts_with(key, $2)`,
    values: [counter, prefix, after, limit],
  })
  return rows.map(({ key }) => key)
}
