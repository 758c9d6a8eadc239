import { Oracle, type OracleContract } from './oracle/oracle.ts'
import { type TestBed, waitFor } from './stack.ts'
import type { WrittenEvent } from './log-writer.ts'

const OUTCOMES = ['applied', 'duplicate', 'conflict', 'late', 'invalid'] as const
type Ledger = Record<(typeof OUTCOMES)[number] | 'read', number>

/** What the product says of a topic beside what the oracle says of the same records. */
export type Tally = {
  /** Gives written events to the oracle, partition by partition in the order of their offsets. */
  add(written: readonly WrittenEvent[]): void
  /** The sum of the stored offsets: grows with every commit. */
  position(): Promise<number>
  /** Waits until everything that was added is counted. */
  settled(timeoutMs?: number): Promise<void>
  ledger(): Promise<Ledger>
  totals(): Promise<Record<string, string>>
  windows(): Promise<Record<string, string>>
  expectedLedger(): Ledger
  expectedTotals(): Record<string, string>
  expectedWindows(): Record<string, string>
}

const SKEW_MS = 300_000

export function createTally(bed: TestBed, contract: Omit<OracleContract, 'skewMs'>): Tally {
  const oracles = new Map<number, Oracle>()
  const ends = new Map<number, number>()

  function sums(of: (oracle: Oracle) => ReadonlyMap<string, bigint>): Record<string, string> {
    const all = new Map<string, bigint>()
    for (const oracle of oracles.values()) {
      for (const [name, sum] of of(oracle)) all.set(name, (all.get(name) ?? 0n) + sum)
    }
    return sorted([...all].map(([name, sum]) => [name, String(sum)]))
  }

  return {
    add(written) {
      for (const { event, partition, offset, appendTimeMs } of written.toSorted(
        (a, b) => a.offset - b.offset,
      )) {
        let oracle = oracles.get(partition)
        if (oracle === undefined)
          oracles.set(partition, (oracle = new Oracle({ ...contract, skewMs: SKEW_MS })))
        oracle.apply(event, appendTimeMs)
        ends.set(partition, offset + 1)
      }
    },
    async position() {
      const rows = await bed.sql<{ sum: string | null }>(
        'select sum(next) from countersink_1.partitions',
      )
      return Number(rows[0]?.sum ?? 0)
    },
    async settled(timeoutMs = 60_000) {
      await waitFor(
        async () => {
          const rows = await bed.sql<{ partition: number; next: string }>(
            'select partition, next from countersink_1.partitions',
          )
          const reached = new Map(rows.map((row) => [row.partition, Number(row.next)]))
          return [...ends].every(([partition, end]) => (reached.get(partition) ?? 0) >= end)
        },
        { what: 'everything to be counted', timeoutMs },
      )
    },
    async ledger() {
      const [row] = await bed.sql<Record<string, string>>(
        `select sum(read) as read, ${OUTCOMES.map((o) => `sum(${o}) as ${o}`).join()} from countersink_1.partitions`,
      )
      return Object.fromEntries(Object.entries(row ?? {}).map(([k, v]) => [k, Number(v)])) as Ledger
    },
    async totals() {
      const rows = await bed.sql<{ counter: string; key: string; dims: object; total: string }>(
        'select counter, key, dims, total from countersink.totals',
      )
      return sorted(rows.map((r) => [nameOf(r.counter, r.key, r.dims), r.total]))
    },
    async windows() {
      const rows = await bed.sql<{
        counter: string
        key: string
        dims: object
        size: string
        start: Date
        delta: string
      }>('select counter, key, dims, size, start, delta from countersink.windows')
      return sorted(
        rows.map((r) => {
          const name = `${nameOf(r.counter, r.key, r.dims)} ${millisecondsOf(r.size)} ${r.start.getTime()}`
          return [name, r.delta]
        }),
      )
    },
    expectedLedger() {
      const count = (o: (typeof OUTCOMES)[number]): number =>
        [...oracles.values()].reduce((sum, oracle) => sum + oracle.count(o), 0)
      const counts = Object.fromEntries(OUTCOMES.map((o) => [o, count(o)]))
      const read = Object.values(counts).reduce((a, b) => a + b, 0)
      return { ...counts, read } as Ledger
    },
    expectedTotals: () => sums((oracle) => oracle.totals),
    expectedWindows: () => sums((oracle) => oracle.windows),
  }
}

function nameOf(counter: string, key: string, dims: object): string {
  return JSON.stringify([counter, key, Object.entries(dims).sort(([a], [b]) => (a < b ? -1 : 1))])
}

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function millisecondsOf(size: string): number {
  return Number(size.slice(0, -1)) * (UNITS[size.slice(-1)] ?? Number.NaN)
}

function sorted(entries: [string, string][]): Record<string, string> {
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
