import pg from 'pg'
import type { WrittenEvent } from './log-writer.ts'
import { Oracle, type OracleContract } from './oracle/oracle.ts'
import { waitFor } from './stack.ts'
import { byName, createStoredCounts } from './stored-counts.ts'

/** What the views say at one moment, beside the fold of the same prefix of the log. */
export type Moment = {
  /** True when the pages lacked something that the log had: page + dirt is more than the page. */
  dirty: boolean
  actual: Record<string, string>
  expected: Record<string, string>
}

export type Moments = {
  add(written: readonly WrittenEvent[]): void
  /** Stored offsets may only have grown since the last look. */
  look: () => Promise<Moment>
  stop(): Promise<void>
}

/** Looks at totals and windows in the midst of counting: one snapshot each, so that they are exact. */
export async function createMoments(
  databaseUrl: string,
  contract: OracleContract,
): Promise<Moments> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const stored = createStoredCounts({
    sql: async <Row extends pg.QueryResultRow>(text: string) =>
      (await client.query<Row>(text)).rows,
  })
  const logs = new Map<number, { oracle: Oracle; events: WrittenEvent[]; folded: number }>()

  function foldTo(offsets: ReadonlyMap<number, number>): Record<string, string> {
    const sums = new Map<string, bigint>()
    for (const [partition, log] of logs) {
      const next = offsets.get(partition) ?? 0
      for (; (log.events[log.folded]?.offset ?? next) < next; log.folded++) {
        const { event, appendTimeMs } = log.events[log.folded]!
        log.oracle.apply(event, appendTimeMs)
      }
      for (const [name, sum] of [...log.oracle.totals, ...log.oracle.windows]) {
        sums.set(name, (sums.get(name) ?? 0n) + sum)
      }
    }
    return byName([...sums].map(([name, sum]) => [name, String(sum)]))
  }

  function isKnown(offsets: ReadonlyMap<number, number>): boolean {
    return [...offsets].every(([partition, next]) => {
      return (logs.get(partition)?.events.at(-1)?.offset ?? -1) >= next - 1
    })
  }

  return {
    add(written) {
      for (const one of written.toSorted((a, b) => a.offset - b.offset)) {
        let log = logs.get(one.partition)
        if (log === undefined) {
          log = { oracle: new Oracle(contract), events: [], folded: 0 }
          logs.set(one.partition, log)
        }
        log.events.push(one)
      }
    },
    async look() {
      await client.query('begin isolation level repeatable read read only')
      const offsets = await stored.offsets()
      const sums = { ...(await stored.totals()), ...(await stored.windows()) }
      const { rowCount } = await client.query(
        'select from countersink_1.partitions where floor < next',
      )
      await client.query('commit')
      // Whoever writes may hear of its acknowledgement later than the aggregator of the records.
      await waitFor(() => isKnown(offsets), { what: 'the events that were counted' })
      const actual = byName(Object.entries(sums))
      return { dirty: rowCount !== 0, actual, expected: foldTo(offsets) }
    },
    stop: async () => await client.end(),
  }
}
