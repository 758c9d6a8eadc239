import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { ownServers, type OwnServers, type ServiceHandle, waitFor } from './stack.ts'

/** Longer than the session, a request and a heartbeat may take. */
const PAUSE_MS = 15_000
const SESSION_TIMEOUT_MS = 4000

let servers: OwnServers
let bed: CountedBed
let aggregators: ServiceHandle[]

beforeAll(async () => {
  servers = await ownServers()
})

afterAll(async () => {
  await servers.stop()
})

beforeEach(async () => {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) }
  bed = await createCountedBed({ partitions: 4, servers, env })
  const start = async (): Promise<ServiceHandle> =>
    await bed.startService('aggregator', { until: 'alive' })
  aggregators = await Promise.all([start(), start()])
  await bed.write(2000)
  await bed.tally.settled()
})

afterEach(async () => {
  await bed.stop()
})

/** Counted once, by the processes that were there before, and nothing halted. */
async function expectCountedOnce(pids: readonly number[]): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
  expect(await bed.sql('select from countersink_1.partitions where halted is not null')).toEqual([])
  expect(aggregators.map(({ pid }) => pid())).toEqual(pids)
}

async function writeAndWaitForProgress(count: number): Promise<void> {
  const before = await bed.tally.position()
  await bed.write(count)
  await waitFor(async () => (await bed.tally.position()) > before, { what: 'progress' })
}

test('F15, I11: the broker killed by kill -9 and started again: nothing lost, nothing twice', async () => {
  const pids = aggregators.map(({ pid }) => pid())
  for (let round = 0; round < 3; round++) {
    await writeAndWaitForProgress(5000)
    await servers.kafka.kill()
    await servers.kafka.start()
    await writeAndWaitForProgress(1000)
  }
  await expectCountedOnce(pids)
})

test('F15: a broker that stands still for longer than a session', async () => {
  const pids = aggregators.map(({ pid }) => pid())
  await writeAndWaitForProgress(5000)
  servers.kafka.pause()
  const pausedAt = Date.now()
  try {
    const over = (): boolean => Date.now() - pausedAt > PAUSE_MS
    await waitFor(over, { what: 'the end of the pause' })
  } finally {
    servers.kafka.resume()
  }
  await writeAndWaitForProgress(1000)
  await expectCountedOnce(pids)
})
