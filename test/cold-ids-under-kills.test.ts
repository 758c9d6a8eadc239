import { afterEach, expect, test } from 'vitest'
import { metricOf } from '../bench/metrics.ts'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { waitFor } from './stack.ts'

const HOUR_MS = 3_600_000
const ROUNDS = 6
const EVENTS_PER_ROUND = 600
/** Some 1600 ids: the newest buckets have 500 in the end. */
const BYTES_MAX = 32 * 1024
const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }

let bed: CountedBed

afterEach(async () => {
  await bed.stop()
})

function eventOf(n: number, base: number, delta = 1) {
  const at = base - ((n * 7919) % (20 * HOUR_MS))
  return { id: `e${n}`, counter: 'views', key: `k${n % 40}`, delta, at }
}

test('I1, I3, I5, I6: with old ids in Postgres and kills while they go there, copies and conflicts never count', async () => {
  bed = await createCountedBed({ partitions: 2, env })
  const limited = { COUNTERSINK_IDS_BYTES_MAX: String(BYTES_MAX) }
  const aggregator = await bed.startService('aggregator', { env: limited, until: 'alive' })
  const base = Date.now()
  const write = async (events: ReturnType<typeof eventOf>[]): Promise<void> => {
    bed.tally.add(await bed.writer.write(events))
  }
  for (let round = 0; round < ROUNDS; round++) {
    const first = round * EVENTS_PER_ROUND
    const fresh = Array.from({ length: EVENTS_PER_ROUND }, (_, i) => eventOf(first + i, base))
    const known = Array.from({ length: first }, (_, n) => n)
    const copies = known.filter((n) => n % 7 === round % 7).map((n) => eventOf(n, base))
    const others = known.filter((n) => n % 11 === round % 11).map((n) => eventOf(n, base, 2))
    const position = await bed.tally.position()
    const writing = write(fresh.flatMap((one, i) => [one, copies[i] ?? [], others[i] ?? []].flat()))
    await waitFor(async () => (await bed.tally.position()) > position, { what: 'progress' })
    await aggregator.kill()
    await writing
    await aggregator.start()
    await bed.tally.settled()
  }
  const cold = async () => await metricOf(aggregator, 'countersink_cold_ids_count')
  await waitFor(async () => (await cold()) > 1000, { what: 'old ids to be in Postgres' })
  await write(Array.from({ length: 500 }, (_, n) => eventOf(n * 3, base)))
  await bed.tally.settled()
  const counted = await bed.tally.actual()
  expect(counted).toEqual(bed.tally.expected())
  expect(counted.ledger).toMatchObject({ applied: ROUNDS * EVENTS_PER_ROUND, late: 0, invalid: 0 })
  expect(counted.ledger.conflict).toBeGreaterThan(100)
  expect(await metricOf(aggregator, 'countersink_cold_id_lookups_total')).toBeGreaterThan(100)
  const hot = await metricOf(aggregator, 'countersink_ids_count')
  const filters = await metricOf(aggregator, 'countersink_cold_ids_bytes')
  expect(20 * hot + filters).toBeLessThanOrEqual(BYTES_MAX)
})

test('I5, I12: ids that cannot fit halt the partition, at its start too, and nothing is forgotten', async () => {
  bed = await createCountedBed({ partitions: 1, env })
  const base = Date.now()
  const write = async (from: number, to: number): Promise<void> => {
    const numbers = Array.from({ length: to - from }, (_, i) => from + i)
    const events = numbers.map((n) => ({ ...eventOf(n, base), at: base }))
    bed.tally.add(await bed.writer.write(events))
  }
  const run = async (bytesMax: number) => {
    const small = { COUNTERSINK_IDS_BYTES_MAX: String(bytesMax) }
    return await bed.startService('aggregator', { env: small, until: 'alive' })
  }
  const halted = async (): Promise<string | null> => {
    const [row] = await bed.sql<{ halted: string | null }>(
      'select halted from countersink_1.partitions',
    )
    return row?.halted ?? null
  }
  const WORDS =
    /do not fit into the 0.0 MiB of COUNTERSINK_IDS_BYTES_MAX.*shorter lateness, run more aggregators, or allow more memory/
  const roomy = await run(2 ** 30)
  await write(0, 300)
  await bed.tally.settled()
  await roomy.stop()

  const small = await run(2048)
  await waitFor(async () => (await halted()) !== null, { what: 'the halt at its start' })
  expect(await halted()).toMatch(WORDS)
  await small.stop()
  await bed.sql(
    'insert into countersink_1.gap_decisions select partition, next from countersink_1.partitions',
  )

  const tight = await run(300 * 20 + 400)
  await waitFor(async () => (await halted()) === null, { what: 'going on' })
  await write(300, 400)
  await write(0, 100)
  await waitFor(
    async () => {
      await write(0, 1)
      return (await halted()) !== null
    },
    { what: 'the halt in mid-run' },
  )
  expect(await halted()).toMatch(WORDS)
  await tight.stop()
  await bed.sql(
    'insert into countersink_1.gap_decisions select partition, next from countersink_1.partitions',
  )

  await run(2 ** 30)
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
})
