import type pg from 'pg'
import type { Offsets } from './position-oracle.ts'
import { ask, keyUrl, positionOf, post } from './query-client.ts'

/** All that a reader sees at one moment, and the position that it belongs to. */
export type ViewSample = {
  position: Offsets
  /** Some partition's log has what its pages have not. */
  isDirty: boolean
  /** partition -> token of its owner: another one is a take-over. */
  tokens: ReadonlyMap<number, string>
  totals: Record<string, string>
  /** Of the one key asked for, by start of the window. */
  windows: Record<string, string>
}

type PartitionRow = { partition: number; next: string; floor: string; token: string }

/** Reads totals of those keys, or of all, the windows of one, and the positions, in one snapshot. */
export async function sampleViews(
  client: pg.Client,
  counter: string,
  keys: readonly string[] | null,
  { key, size }: { key: string; size: string },
): Promise<ViewSample> {
  await client.query('begin isolation level repeatable read read only')
  const partitions = await client.query<PartitionRow>(
    'select partition, next, floor, token from countersink_1.partitions',
  )
  const totals = await client.query<{ key: string; total: string }>(
    `select key, total from countersink.totals where counter = $1 and dims = '{}'
       and ($2::text[] is null or key = any($2))`,
    [counter, keys],
  )
  const windows = await client.query<{ start: string; delta: string }>(
    `select extract(epoch from start) * 1000 as start, delta from countersink.windows
     where counter = $1 and key = $2 and dims = '{}' and size = $3`,
    [counter, key, size],
  )
  await client.query('commit')
  return {
    position: new Map(partitions.rows.map(({ partition, next }) => [partition, Number(next)])),
    isDirty: partitions.rows.some(({ next, floor }) => Number(floor) < Number(next)),
    tokens: new Map(partitions.rows.map(({ partition, token }) => [partition, token])),
    totals: Object.fromEntries(totals.rows.map((row) => [row.key, row.total])),
    windows: Object.fromEntries(
      windows.rows.map(({ start, delta }) => [String(Number(start)), delta]),
    ),
  }
}

export type ApiSample = { position: Offsets; value: Record<string, string> }

export async function sampleTotals(
  api: string,
  counter: string,
  keys: readonly string[],
): Promise<ApiSample> {
  const answer = await post(
    `${api}/v1/totals`,
    keys.map((key) => ({ counter, key })),
  )
  const totals = answer.body['totals'] as { key: string; total: string }[]
  const value = Object.fromEntries(totals.map(({ key, total }) => [key, total]))
  return { position: positionOf(answer), value }
}

export async function sampleTotal(api: string, counter: string, key: string): Promise<ApiSample> {
  const answer = await ask(keyUrl(api, counter, key))
  return { position: positionOf(answer), value: { [key]: String(answer.body['total']) } }
}

/** Windows with something in them, by start. */
export async function sampleWindows(
  api: string,
  counter: string,
  key: string,
  range: { from: number; to: number; step: string },
): Promise<ApiSample> {
  const { from, to, step } = range
  const url = `${keyUrl(api, counter, key)}/windows?from=${from}&to=${to}&step=${step}`
  const answer = await ask(url)
  const windows = answer.body['windows'] as { start: string; delta: string }[]
  const value = Object.fromEntries(
    windows
      .filter(({ delta }) => delta !== '0')
      .map(({ start, delta }) => [String(Date.parse(start)), delta]),
  )
  return { position: positionOf(answer), value }
}
