import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { createFilePublisher, type FilePublisher } from './file-publisher.ts'
import { sumFile } from './oracle/file-oracle.ts'
import { createTestBed, type TestBed, waitFor } from './stack.ts'
import { createStoredCounts, type StoredCounts } from './stored-counts.ts'

const MINUTE_MS = 60_000
const SIZES_MS = [MINUTE_MS, 60 * MINUTE_MS, 1440 * MINUTE_MS]
const FILE = new URL('./data/kafka-file-changes.ndjson.gz', import.meta.url)
const file = sumFile(FILE, SIZES_MS)
const EVENTS = 99_515

/** A peer that was killed is noticed by Kafka after so long: the shortest pause between kills. */
const SESSION_TIMEOUT_MS = 1500
const TEST_MS_MAX = 400_000
/** Events of each step that are on their way when the aggregator is killed. */
const LAST_OF_STEP = 50

let bed: TestBed | undefined
const publishers: FilePublisher[] = []

afterEach(async () => {
  for (const publisher of publishers.splice(0)) await publisher.stop()
  await bed?.stop()
  bed = undefined
})

type Run = { kills: number; lateness: string; lead: number }

/**
 * Two publishers send the whole file at once, one packed and `lead` events ahead of the other, which
 * sends JSON, while the aggregator is killed again and again: always after it has counted something
 * since it was started, and only kills that left something uncounted are counted.
 */
async function publishTwice({ kills, lateness, lead }: Run): Promise<StoredCounts> {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) }
  bed = await createTestBed({
    partitions: 4,
    contractsYaml: `defaults: { lateness: ${lateness}, windows: [1m, 1h, 1d] }`,
    env,
  })
  const stored = createStoredCounts(bed)
  const counted = async (): Promise<number> => (await stored.ledger()).read
  for (const format of ['packed', 'json'] as const) {
    publishers.push(await createFilePublisher(bed, file.events, format))
  }
  const acknowledged = (): number => publishers.reduce((sum, one) => sum + one.acknowledged(), 0)
  const publishTo = async (count: number): Promise<unknown> =>
    Promise.all(publishers.map((one, i) => one.publishTo(Math.min(count + (1 - i) * lead, EVENTS))))

  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  const step = Math.floor((EVENTS - lead) / (kills + 6))
  let killed = 0
  for (let round = 1; killed < kills && round * step < EVENTS; round++) {
    const before = await counted()
    await publishTo(round * step - LAST_OF_STEP)
    await waitFor(async () => (await counted()) > before, { what: 'counted events' })
    const acknowledgedBefore = acknowledged()
    const publishing = publishTo(round * step)
    // At once when there is more than it has counted: a commit takes only some milliseconds.
    while (acknowledged() === acknowledgedBefore) await nextTurn()
    await aggregator.kill()
    if ((await counted()) < acknowledged()) killed++
    await publishing
    await aggregator.start()
  }
  expect(killed).toBe(kills)
  await publishTo(EVENTS)
  await waitFor(async () => (await counted()) === 2 * EVENTS, { what: 'all events' })
  return stored
}

async function expectTheFileOnce(stored: StoredCounts): Promise<void> {
  expect(await stored.totals()).toEqual(file.totals)
  expect(await stored.windows()).toEqual(file.windows)
}

test('the oracle of the file agrees with what is known of it', () => {
  expect(file.events.length).toBe(EVENTS)
  expect(file.sum).toBe(99_515)
  expect(file.totals['["file_changes","core/src",[]]']).toBe('29360')
  expect(file.totals['["file_changes","streams/src",[]]']).toBe('21795')
})

test(
  'I3, I4, I5, I6: a file published twice under 20 kills is counted once, each copy a duplicate',
  { timeout: TEST_MS_MAX },
  async () => {
    const stored = await publishTwice({ kills: 20, lateness: '6000d', lead: 0 })
    await expectTheFileOnce(stored)
    expect(await stored.ledger()).toEqual({
      read: 2 * EVENTS,
      applied: EVENTS,
      duplicate: EVENTS,
      conflict: 0,
      late: 0,
      invalid: 0,
    })
  },
)

test(
  'I5: under the default lateness the same totals, second copies are duplicates or late',
  { timeout: TEST_MS_MAX },
  async () => {
    const stored = await publishTwice({ kills: 4, lateness: '24h', lead: 2000 })
    await expectTheFileOnce(stored)
    const ledger = await stored.ledger()
    expect(ledger).toMatchObject({ read: 2 * EVENTS, applied: EVENTS, conflict: 0, invalid: 0 })
    expect(ledger.duplicate + ledger.late).toBe(EVENTS)
    expect(ledger.late).toBeGreaterThan(0)
  },
)
