import type { TestBed } from './stack.ts'

const OUTCOMES = ['applied', 'duplicate', 'conflict', 'late', 'invalid'] as const
export type Outcome = (typeof OUTCOMES)[number]
export type LedgerCounts = Record<Outcome | 'read', number>

/** What Postgres says has been counted, through the tables and views that any client reads. */
export type StoredCounts = {
  /** partition -> stored offset */
  offsets(): Promise<Map<number, number>>
  /** The sum of the stored offsets: grows with every commit that moved something. */
  position(): Promise<number>
  ledger(): Promise<LedgerCounts>
  /** Series name of the oracle -> total. */
  totals(): Promise<Record<string, string>>
  /** Series name, size in milliseconds and start -> delta. */
  windows(): Promise<Record<string, string>>
}

export function createStoredCounts({ sql }: Pick<TestBed, 'sql'>): StoredCounts {
  async function offsets(): Promise<Map<number, number>> {
    const rows = await sql<{ partition: number; next: string }>(
      'select partition, next from countersink_1.partitions',
    )
    return new Map(rows.map(({ partition, next }) => [partition, Number(next)]))
  }

  return {
    offsets,
    async position() {
      return [...(await offsets()).values()].reduce((sum, next) => sum + next, 0)
    },
    async ledger() {
      const sums = ['read', ...OUTCOMES].map((name) => `coalesce(sum(${name}), 0) as ${name}`)
      const [row] = await sql<Record<string, string>>(
        `select ${sums.join()} from countersink_1.partitions`,
      )
      const of = (name: string): number => Number(row?.[name])
      return {
        read: of('read'),
        applied: of('applied'),
        duplicate: of('duplicate'),
        conflict: of('conflict'),
        late: of('late'),
        invalid: of('invalid'),
      }
    },
    async totals() {
      const rows = await sql<{ counter: string; key: string; dims: object; total: string }>(
        'select counter, key, dims, total from countersink.totals',
      )
      return byName(rows.map((row) => [nameOf(row), row.total]))
    },
    async windows() {
      const rows = await sql<WindowRow>(
        `select counter, key, dims, size, extract(epoch from start) * 1000 as start, delta
         from countersink.windows`,
      )
      return byName(
        rows.map((row) => {
          return [`${nameOf(row)} ${millisecondsOf(row.size)} ${Number(row.start)}`, row.delta]
        }),
      )
    },
  }
}

type WindowRow = {
  counter: string
  key: string
  dims: object
  size: string
  start: string
  delta: string
}

function nameOf({ counter, key, dims }: { counter: string; key: string; dims: object }): string {
  return JSON.stringify([counter, key, Object.entries(dims).sort(([a], [b]) => (a < b ? -1 : 1))])
}

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function millisecondsOf(size: string): number {
  return Number(size.slice(0, -1)) * (UNITS[size.slice(-1)] ?? Number.NaN)
}

/** Sorted by name, so that two of them compare whatever order they came in. */
export function byName(entries: [string, string][]): Record<string, string> {
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
