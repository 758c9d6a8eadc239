import { Oracle, type OracleContract, type OracleEvent } from './oracle/oracle.ts'
import { type TestBed, waitFor } from './stack.ts'
import {
  byName,
  createStoredCounts,
  type LedgerCounts,
  type Outcome,
  type StoredCounts,
} from './stored-counts.ts'

/** What was written where; without an event the record there holds none that can be read. */
export type Written = {
  event: OracleEvent | undefined
  partition: number
  offset: number
  /** Its place in the record, 0 if it is the only one. */
  index?: number
  appendTimeMs: number
}

/** What the product says of a topic beside what the oracle says of the same records. */
export type Tally = StoredCounts & {
  /** Gives written events to the oracle, partition by partition in the order of their offsets. */
  add(written: readonly Written[]): void
  /** Waits until everything that was added is counted. */
  settled(timeoutMs?: number): Promise<void>
  /** `partition:offset:index` -> outcome, of every event that is not applied. */
  expectedOutcomes: ReadonlyMap<string, Outcome | undefined>
  expectedLedger(): LedgerCounts
  expectedTotals(): Record<string, string>
  expectedWindows(): Record<string, string>
  /** Both sides whole, to be compared in one expectation. */
  actual(): Promise<WholeCount>
  expected(): WholeCount
}

export type WholeCount = {
  ledger: LedgerCounts
  totals: Record<string, string>
  windows: Record<string, string>
}

const SKEW_MS = 300_000

export function createTally(bed: TestBed, contract: Omit<OracleContract, 'skewMs'>): Tally {
  const stored = createStoredCounts(bed)
  const oracles = new Map<number, Oracle>()
  const ends = new Map<number, number>()
  const outcomes = new Map<string, Outcome | undefined>()

  function sums(of: (oracle: Oracle) => ReadonlyMap<string, bigint>): Record<string, string> {
    const all = new Map<string, bigint>()
    for (const oracle of oracles.values()) {
      for (const [name, sum] of of(oracle)) all.set(name, (all.get(name) ?? 0n) + sum)
    }
    return byName([...all].map(([name, sum]) => [name, String(sum)]))
  }

  function expectedLedger(): LedgerCounts {
    const count = (outcome: Outcome): number =>
      [...oracles.values()].reduce((sum, oracle) => sum + oracle.count(outcome), 0)
    return {
      read: [...oracles.values()].reduce((sum, oracle) => sum + oracle.outcomes.length, 0),
      applied: count('applied'),
      duplicate: count('duplicate'),
      conflict: count('conflict'),
      late: count('late'),
      invalid: count('invalid'),
    }
  }

  const expectedTotals = (): Record<string, string> => sums((oracle) => oracle.totals)
  const expectedWindows = (): Record<string, string> => sums((oracle) => oracle.windows)

  return {
    ...stored,
    add(written) {
      const inOrder = written.toSorted((a, b) => a.offset - b.offset)
      for (const { event, partition, offset, index = 0, appendTimeMs } of inOrder) {
        let oracle = oracles.get(partition)
        if (oracle === undefined) {
          oracles.set(partition, (oracle = new Oracle({ ...contract, skewMs: SKEW_MS })))
        }
        if (event === undefined) oracle.invalid(appendTimeMs)
        else oracle.apply(event, appendTimeMs)
        const outcome = oracle.outcomes.at(-1)
        if (outcome !== 'applied') outcomes.set(`${partition}:${offset}:${index}`, outcome)
        ends.set(partition, offset + 1)
      }
    },
    async settled(timeoutMs = 60_000) {
      await waitFor(
        async () => {
          const reached = await stored.offsets()
          return [...ends].every(([partition, end]) => (reached.get(partition) ?? 0) >= end)
        },
        { what: 'everything to be counted', timeoutMs },
      )
    },
    expectedOutcomes: outcomes,
    expectedLedger,
    expectedTotals,
    expectedWindows,
    async actual() {
      const [ledger, totals, windows] = [
        await stored.ledger(),
        await stored.totals(),
        await stored.windows(),
      ]
      return { ledger, totals, windows }
    },
    expected() {
      return {
        ledger: expectedLedger(),
        totals: expectedTotals(),
        windows: expectedWindows(),
      }
    },
  }
}
