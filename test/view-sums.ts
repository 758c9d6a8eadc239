import type pg from 'pg'
import { seriesName } from './oracle/oracle.ts'

type Sums = Map<string, bigint>
type TotalRow = { counter: string; key: string; dims: Record<string, string>; total: string }
type WindowRow = Omit<TotalRow, 'total'> & { size: string; start: Date; delta: string }

const UNITS_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The view `totals`, by the oracle's names; of some counters when they are given. */
export async function readTotals(client: pg.ClientBase, counters?: string[]): Promise<Sums> {
  const { rows } = await client.query<TotalRow>(
    `select counter, key, dims, total from countersink.totals
     where $1::text[] is null or counter = any($1)`,
    [counters ?? null],
  )
  return new Map(
    rows.map(({ counter, key, dims, total }) => [seriesName(counter, key, dims), BigInt(total)]),
  )
}

/** The view `windows`, by the oracle's names. */
export async function readWindows(client: pg.ClientBase, counters?: string[]): Promise<Sums> {
  const { rows } = await client.query<WindowRow>(
    `select counter, key, dims, size, start, delta from countersink.windows
     where $1::text[] is null or counter = any($1)`,
    [counters ?? null],
  )
  return new Map(
    rows.map(({ counter, key, dims, size, start, delta }) => [
      `${seriesName(counter, key, dims)} ${millisecondsOf(size)} ${start.getTime()}`,
      BigInt(delta),
    ]),
  )
}

function millisecondsOf(size: string): number {
  return Number(size.slice(0, -1)) * (UNITS_MS[size.slice(-1)] ?? Number.NaN)
}

/** A series whose events were all late or duplicates has a slot and a total of 0; an oracle has none. */
export function withoutZeros(sums: ReadonlyMap<string, bigint>): Sums {
  return new Map([...sums].filter(([, sum]) => sum !== 0n))
}
