import { createProducer, type Producer } from '@countersink/producer'
import { createLogger } from '@countersink/shared/log'
import { parseSdkId } from '@countersink/shared/sdk-id'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { metricOf } from '../bench/metrics.ts'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { COUNTERS, eventsWithoutIds, type Sent } from './sdk-rounds.ts'
import { type ServiceHandle, waitFor } from './stack.ts'
import { readTopic } from './topic-events.ts'

const PARTITIONS = 3
const PRODUCERS = 4
const KILLS = 5
const EVENTS_PER_ROUND = 500
/** In the hour that the rounds take place in, and the one after: never more buckets than two. */
const BUCKETS_MAX = 2

let bed: CountedBed
const producers: Producer[] = []

beforeAll(async () => {
  bed = await createCountedBed({
    partitions: PARTITIONS,
    env: { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' },
  })
  for (let i = 0; i < PRODUCERS; i++) {
    const logger = createLogger('test', 'fatal')
    const producer = createProducer({ brokers: bed.brokers.split(','), topic: bed.topic, logger })
    await producer.start()
    producers.push(producer)
  }
})

afterAll(async () => {
  for (const producer of producers) await producer.stop()
  await bed.stop()
})

/** Events without ids from all producers at once; as they are known by then. */
async function addRound(round: number): Promise<Sent[]> {
  const sends = producers.map(async (producer, p) => {
    const events = eventsWithoutIds(EVENTS_PER_ROUND, round, p)
    const receipts = await Promise.all(events.map((event) => producer.add(event)))
    return events.map((event, i) => ({ ...event, id: receipts[i]!.id, at: receipts[i]!.at }))
  })
  return (await Promise.all(sends)).flat()
}

/** The same ids as JSON, by somebody else: as they were, and with another delta. */
async function sendAgain(events: readonly Sent[]): Promise<void> {
  await bed.writer.write(events.filter((_, i) => i % 3 === 0))
  const changed = events.map((event) => ({ ...event, delta: event.delta + 1 }))
  await bed.writer.write(changed.filter((_, i) => i % 4 === 0))
}

async function remembered(aggregator: ServiceHandle) {
  const made = await metricOf(aggregator, 'countersink_made_ids_count')
  const intervals = await metricOf(aggregator, 'countersink_id_intervals_count')
  const hashed = await metricOf(aggregator, 'countersink_ids_count')
  return { made, intervals, hashed }
}

test('I1, I3, I5, I6: SDK-made ids are remembered as intervals over kills, copies of them as JSON never count', async () => {
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  let before: Sent[] = []
  let sent = 0
  for (let round = 0; round <= KILLS; round++) {
    const position = await bed.tally.position()
    const sending = Promise.all([addRound(round), sendAgain(before)])
    await waitFor(async () => (await bed.tally.position()) > position, { what: 'progress' })
    if (round < KILLS) await aggregator.kill()
    ;[before] = await sending
    for (const { id } of before) expect(parseSdkId(id)).toBeDefined()
    sent += before.length
    if (round < KILLS) await aggregator.start()
  }
  bed.tally.add(await readTopic(bed))
  await bed.tally.settled()
  const counted = await bed.tally.actual()
  expect(counted).toEqual(bed.tally.expected())
  expect(counted.ledger).toMatchObject({ applied: sent, conflict: 0, late: 0, invalid: 0 })
  expect(counted.ledger.duplicate).toBeGreaterThan((sent * KILLS) / (KILLS + 1) / 2)

  const known = await remembered(aggregator)
  expect(known).toMatchObject({ made: sent, hashed: 0 })
  const lanes = PRODUCERS * PARTITIONS * COUNTERS.length
  expect(known.intervals).toBeLessThanOrEqual(lanes * BUCKETS_MAX)
  const [{ bytes } = { bytes: '0' }] = await bed.sql<{ bytes: string }>(
    'select sum(octet_length(ids)) as bytes from countersink_1.commits',
  )
  expect(Number(bytes) / sent).toBeLessThan(16)

  await aggregator.kill()
  await aggregator.start()
  await waitFor(async () => (await remembered(aggregator)).made === sent, { what: 'a take-over' })
  expect(await remembered(aggregator)).toEqual(known)
})
