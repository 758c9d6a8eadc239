import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogWriter, type LogWriter } from './log-writer.ts'
import type { OracleEvent } from './oracle/oracle.ts'
import { createTestBed, type TestBed, waitFor } from './stack.ts'
import { createTally, type Tally } from './tally.ts'

const HOUR_MS = 3_600_000
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m, 1h], breakdowns: [[country]] }'

let bed: TestBed
let writer: LogWriter
let tally: Tally

beforeAll(async () => {
  bed = await createTestBed({ partitions: 4, contractsYaml: CONTRACTS })
  writer = await createLogWriter(bed.brokers, bed.topic)
  tally = createTally(bed, {
    latenessMs: 24 * HOUR_MS,
    windowSizesMs: [60_000, HOUR_MS],
    breakdowns: [['country']],
  })
})

afterAll(async () => {
  await writer.stop()
  await bed.stop()
})

function makeEvents(count: number, from: number): OracleEvent[] {
  const now = Date.now()
  return Array.from({ length: count }, (_, i) => {
    const n = from + i
    // One in five repeats an id, one in fifty of these with another delta.
    const id = n % 5 === 0 ? n - 1 : n
    const origin = id
    return {
      id: `e${id}`,
      counter: 'views',
      key: `k${(origin * 7919) % 500}`,
      delta: (origin % 9) + 1 + (n % 250 === 0 ? 1 : 0),
      at: now - (now % HOUR_MS) - ((origin * 31) % HOUR_MS),
      dims: { country: origin % 2 === 0 ? 'de' : 'fr' },
    }
  })
}

test('I3, I4, I5, I6: killed again and again in mid-work, everything is counted once', async () => {
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  for (let round = 0; round < 8; round++) {
    tally.add(await writer.write(makeEvents(3000, round * 3000)))
    const before = await tally.position()
    await waitFor(async () => (await tally.position()) > before, { what: 'progress' })
    if (round < 7) {
      await aggregator.kill()
      await aggregator.start()
    }
  }
  await tally.settled()
  expect(await tally.ledger()).toEqual(tally.expectedLedger())
  expect(await tally.totals()).toEqual(tally.expectedTotals())
  expect(await tally.windows()).toEqual(tally.expectedWindows())
})
