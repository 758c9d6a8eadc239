import { type Outcome, readOutcomes } from '@countersink/shared/outcomes'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { createMixedWriter, type MixedWriter } from './mixed-writer.ts'
import type { OracleEvent } from './oracle/oracle.ts'
import { waitFor } from './stack.ts'

const KILLS = 5
const EVENTS_PER_ROUND = 4000
/** Of one key, so that they lie in full records of one partition. */
const BACKLOG_EVENTS = 40_000
const KEYS = 200
const HOUR_MS = 3_600_000
const SESSIONS = ['0mchx2z1aAZaz09_-AZaz09_A', '0mchx2z1bAZaz09_-AZaz09_B']

let bed: CountedBed
let writer: MixedWriter
let placed = 0

beforeAll(async () => {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }
  bed = await createCountedBed({ partitions: 4, env })
  writer = await createMixedWriter(bed.brokers, bed.topic)
})

afterAll(async () => {
  await writer.stop()
  await bed.stop()
})

async function write(events: readonly OracleEvent[]): Promise<void> {
  const written = await writer.write(events)
  placed += written.length
  bed.tally.add(written)
}

/**
 * One event in four repeats one that was sent up to a thousand events before it, mostly in another
 * record and another encoding, and one in 37 of these with another delta. Half of the ids
 * have the form of an SDK's.
 */
function eventNumber(n: number, base: number): OracleEvent {
  const origin = n % 4 === 3 ? Math.max(0, n - 1 - ((n * 31) % 997)) : n
  const made = `${SESSIONS[origin % 2]}.${origin % 3}.${origin}`
  const dims = [{ country: 'de' }, { country: 'fr', device: 'tv' }, { device: 'tv' }, {}]
  return {
    id: origin % 4 < 2 ? made : `event-${origin}`,
    counter: origin % 5 === 0 ? 'likes' : 'views',
    key: `k${(origin * 7919) % KEYS}`,
    delta: 1 + (origin % 3) + (n % 148 === 3 ? 1 : 0),
    at: base - ((origin * 31) % HOUR_MS),
    dims: dims[origin % 7] ?? {},
  }
}

/** `partition:offset:index` -> outcome, of every event that was not applied. */
async function storedOutcomes(): Promise<Map<string, Outcome>> {
  const rows = await bed.sql<{ partition: number; first: string; outcomes: Buffer }>(
    'select partition, first, outcomes from countersink_1.commits',
  )
  return new Map(
    rows.flatMap(({ partition, first, outcomes }) =>
      [...readOutcomes(outcomes, Number(first))].map(
        ({ offset, index, outcome }) => [`${partition}:${offset}:${index}`, outcome] as const,
      ),
    ),
  )
}

test('I1, I3, I4, I5, I6: JSON and packed records in one topic, copies across both, damaged ones, counted once under kills', async () => {
  const base = Date.now()
  const backlog = Array.from({ length: BACKLOG_EVENTS }, (_, i) => ({
    ...{ id: `${SESSIONS[0]}.9.${i % (BACKLOG_EVENTS - 99)}`, counter: 'views', key: 'hot' },
    ...{ delta: 1, at: base - (i % 1000) },
  }))
  await write(backlog)
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  let written = 0
  for (let round = 0; round <= KILLS; round++) {
    const before = await bed.tally.position()
    const events = Array.from({ length: EVENTS_PER_ROUND }, (_, i) =>
      eventNumber(written + i, base),
    )
    written += EVENTS_PER_ROUND
    await write(events.slice(0, EVENTS_PER_ROUND / 2))
    await waitFor(async () => (await bed.tally.position()) > before, { what: 'progress' })
    if (round < KILLS) await aggregator.kill()
    await write(events.slice(EVENTS_PER_ROUND / 2))
    if (round < KILLS) await aggregator.start()
  }
  await bed.tally.settled()
  const counted = await bed.tally.actual()
  expect(counted).toEqual(bed.tally.expected())
  expect(counted.ledger.read).toBe(placed)
  const { duplicate, conflict, invalid } = counted.ledger
  expect(Math.min(duplicate, conflict, invalid), JSON.stringify(counted.ledger)).toBeGreaterThan(10)
  expect(await storedOutcomes()).toEqual(bed.tally.expectedOutcomes)
})
