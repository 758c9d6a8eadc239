import type pg from 'pg'
import type { StoredBytes } from './side.ts'

const SCHEMA = 'countersink_1'

/** With fewer the blocks of an almost empty table would be all that is measured. */
const ENTRIES_MIN = 10_000

/** What a table is for. What is not named here is `rest`. */
const PURPOSES: readonly (readonly [RegExp, string])[] = [
  [/^total_pages_512$/, 'pages of totals'],
  [/^window_pages_512$/, 'pages of windows'],
  [/^(commits|window_deltas)/, 'log'],
  [/^series_runs$/, 'series'],
]

/**
 * All that one generation keeps, by purpose, indexes and TOAST included. The ids are columns of the
 * log's rows: their bytes are told apart from the rest of it.
 */
export async function storedBytes(
  client: pg.Client,
): Promise<{ stored: StoredBytes; bytesPerWindowEntry: number }> {
  const { rows } = await client.query<{ name: string; bytes: string }>(
    `select c.relname as name, pg_total_relation_size(c.oid) as bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind = 'r'`,
    [SCHEMA],
  )
  const stored: StoredBytes = {}
  for (const { name, bytes } of rows) {
    const purpose = PURPOSES.find(([pattern]) => pattern.test(name))?.[1] ?? 'rest'
    stored[purpose] = (stored[purpose] ?? 0) + Number(bytes)
  }
  const ids = await oneNumber(client, `select sum(length(ids)) from ${SCHEMA}.commits`)
  stored['ids'] = ids
  stored['log'] = (stored['log'] ?? 0) - ids
  const entries = await oneNumber(
    client,
    `select sum(cardinality(slots)) from ${SCHEMA}.window_pages_512`,
  )
  const bytes = entries < ENTRIES_MIN ? Number.NaN : (stored['pages of windows'] ?? 0) / entries
  return { stored, bytesPerWindowEntry: bytes }
}

async function oneNumber(client: pg.Client, text: string): Promise<number> {
  const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' })
  return Number(rows[0]?.[0])
}
