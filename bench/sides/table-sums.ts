import type pg from 'pg'
import type { SumCheck } from '../load-oracle.ts'

/** Rows in memory at once: a load has millions of windows. */
const FETCH_ROWS = 50_000

/** Holds what `text` selects, (key, total), against the oracle. */
export async function checkTotals(client: pg.Client, check: SumCheck, text: string): Promise<void> {
  await eachRow(client, text, ([key, total]) => check.total(String(key), Number(total)))
}

/** Holds what `text` selects, (key, start in epoch ms, sum), against the oracle. */
export async function checkWindows(
  client: pg.Client,
  check: SumCheck,
  text: string,
): Promise<void> {
  await eachRow(client, text, ([key, start, sum]) => {
    check.window(String(key), Number(start), Number(sum))
  })
}

async function eachRow(
  client: pg.Client,
  text: string,
  use: (row: readonly unknown[]) => void,
): Promise<void> {
  await client.query('begin')
  await client.query(`declare rows no scroll cursor for ${text}`)
  for (let more = true; more;) {
    const { rows } = await client.query<unknown[]>({
      text: `fetch ${FETCH_ROWS} from rows`,
      rowMode: 'array',
    })
    for (const row of rows) use(row)
    more = rows.length > 0
  }
  await client.query('commit')
}

/** Bytes of tables with their indexes and TOAST. */
export async function tableBytes(client: pg.Client, tables: readonly string[]): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    'select sum(pg_total_relation_size(t::regclass)) as bytes from unnest($1::text[]) t',
    [tables],
  )
  return Number(rows[0]?.bytes)
}
