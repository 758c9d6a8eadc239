import { createLogWriter, type LogWriter, type WrittenEvent } from './log-writer.ts'
import type { OracleContract, OracleEvent } from './oracle/oracle.ts'
import { createTestBed, type TestBed, type TestBedOptions } from './stack.ts'
import { createTally, type Tally } from './tally.ts'

const HOUR_MS = 3_600_000
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m, 1h], breakdowns: [[country]] }'
/** With their breakdowns three series each: two pages of a partition and more. */
const KEYS = 1000

/** What CONTRACTS says, for an oracle. */
export const COUNTED_CONTRACT: OracleContract = {
  latenessMs: 24 * HOUR_MS,
  windowSizesMs: [60_000, HOUR_MS],
  breakdowns: [['country']],
  skewMs: 300_000,
}

/** A test bed with somebody who writes to its topic, and an oracle that reads along. */
export type CountedBed = TestBed & {
  tally: Tally
  writer: LogWriter
  /** Appends that many further events, retries and conflicts among them, and tells the oracle. */
  write(count: number, counter?: string): Promise<WrittenEvent[]>
}

export async function createCountedBed(
  options: Omit<TestBedOptions, 'contractsYaml'> = {},
): Promise<CountedBed> {
  const bed = await createTestBed({ ...options, contractsYaml: CONTRACTS })
  const writer = await createLogWriter(bed.brokers, bed.topic)
  const tally = createTally(bed, COUNTED_CONTRACT)
  const base = Date.now()
  let written = 0
  return {
    ...bed,
    tally,
    writer,
    async write(count, counter = 'views') {
      const events = Array.from({ length: count }, (_, i) =>
        eventNumber(counter, written + i, base),
      )
      written += count
      const appended = await writer.write(events)
      tally.add(appended)
      return appended
    },
    async stop() {
      await writer.stop()
      await bed.stop()
    },
  }
}

/** One event in five repeats the one before it, and one in fifty of these with another delta. */
function eventNumber(counter: string, n: number, base: number): OracleEvent {
  const origin = n % 5 === 0 && n > 0 ? n - 1 : n
  return {
    id: `e${origin}`,
    counter,
    key: `k${(origin * 7919) % KEYS}`,
    delta: (origin % 9) + 1 + (n % 250 === 0 ? 1 : 0),
    at: base - (base % HOUR_MS) - ((origin * 31) % HOUR_MS),
    dims: { country: origin % 2 === 0 ? 'de' : 'fr' },
  }
}
