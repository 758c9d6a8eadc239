import { createProducer, type Producer } from '@countersink/producer'
import { createLogger } from '@countersink/shared/log'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { metricOf } from '../bench/metrics.ts'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { eventsWithoutIds, type Sent } from './sdk-rounds.ts'
import { waitFor } from './stack.ts'
import { readTopic } from './topic-events.ts'

/** Open at the same time, all of one partition; in each round some of them end and others begin. */
const SESSIONS = 36
const ENDING_PER_ROUND = 6
const KILLS = 3
const EVENTS_PER_ROUND = 40

let bed: CountedBed
let producers: Producer[] = []
let sessions = 0

beforeAll(async () => {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }
  bed = await createCountedBed({ partitions: 1, env })
  producers = await startProducers(SESSIONS)
})

afterAll(async () => {
  await Promise.all(producers.map((producer) => producer.stop()))
  await bed.stop()
})

function startProducers(count: number): Promise<Producer[]> {
  const logger = createLogger('test', 'fatal')
  const started = Array.from({ length: count }, async () => {
    // Every third writes its ids as text, in JSON records.
    const format = sessions++ % 3 === 0 ? 'json' : 'packed'
    const options = { brokers: bed.brokers.split(','), topic: bed.topic, logger, format } as const
    const producer = createProducer(options)
    await producer.start()
    return producer
  })
  return Promise.all(started)
}

/** Events without ids from all sessions at once; as they are known by then. */
async function addRound(round: number): Promise<Sent[]> {
  const sends = producers.map(async (producer, p) => {
    const events = eventsWithoutIds(EVENTS_PER_ROUND, round, p)
    const half = EVENTS_PER_ROUND / 2
    const many = producer.addMany(events.slice(0, half))
    const singles = await Promise.all(events.slice(half).map((event) => producer.add(event)))
    const list = await many
    return events.map((event, i) => {
      const { id, at } = (i < half ? list.receipt(i) : singles[i - half])!
      return { ...event, id, at }
    })
  })
  return (await Promise.all(sends)).flat()
}

test('I1, I3, I4, I5, I6: the lanes of many SDK sessions in one partition are remembered over kills, also of sessions that have ended', async () => {
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  const sent: Sent[] = []
  for (let round = 0; round <= KILLS; round++) {
    const position = await bed.tally.position()
    // The ids of the rounds before come again, as JSON and by somebody else, between new ones.
    const [made] = await Promise.all([
      addRound(round),
      bed.writer.write(sent.filter((_, i) => i % 5 === round)),
      waitFor(async () => (await bed.tally.position()) > position, { what: 'progress' }),
    ])
    sent.push(...made)
    if (round === KILLS) break
    await aggregator.kill()
    const ended = producers.splice(0, ENDING_PER_ROUND)
    await Promise.all(ended.map((producer) => producer.stop()))
    producers.push(...(await startProducers(ENDING_PER_ROUND)))
    await aggregator.start()
  }
  bed.tally.add(await readTopic(bed))
  await bed.tally.settled()
  const known = await metricOf(aggregator, 'countersink_made_ids_count')
  expect(known).toBe(sent.length)

  // After one more take-over each of them is known, of whatever session and round it is.
  await aggregator.kill()
  await aggregator.start()
  bed.tally.add(await bed.writer.write(sent))
  await bed.tally.settled()
  const counted = await bed.tally.actual()
  expect(counted).toEqual(bed.tally.expected())
  expect(counted.ledger).toMatchObject({ applied: sent.length, conflict: 0, late: 0, invalid: 0 })
  expect(new Set(sent.map(({ id }) => id.split('.')[0])).size).toBe(sessions)
  expect(await metricOf(aggregator, 'countersink_made_ids_count')).toBe(sent.length)
  expect(await metricOf(aggregator, 'countersink_ids_count')).toBe(0)
})
