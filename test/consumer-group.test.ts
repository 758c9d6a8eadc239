import { withAdmin } from '@countersink/local/topic'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

/** So long that nobody here can have waited for it: who takes over at once was told to. */
const SESSION_TIMEOUT_MS = 120_000

let bed: CountedBed
let aggregator: ServiceHandle

beforeEach(async () => {
  bed = await createCountedBed({
    partitions: 4,
    env: { COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) },
  })
  aggregator = await bed.startService('aggregator', { until: 'alive' })
})

afterEach(async () => {
  await bed.stop()
})

async function expectCountedOnce(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
}

test('F23, I4: the consumer group is deleted: the offsets in Postgres win', async () => {
  await bed.write(3000)
  await bed.tally.settled()
  await aggregator.stop()
  await withAdmin(bed.brokers.split(','), async (admin) => {
    await admin.deleteGroup(bed.env['COUNTERSINK_GROUP'] ?? '')
  })
  await bed.write(1000)
  await aggregator.start()
  await expectCountedOnce()
})

test('F30: SIGTERM under load drains, leaves the group and exits 0', async () => {
  for (let round = 0; round < 3; round++) {
    const before = await bed.tally.position()
    await bed.write(20_000)
    await waitFor(async () => (await bed.tally.position()) > before, { what: 'progress' })
    const ended = aggregator.ended()
    await aggregator.kill('SIGTERM')
    expect(await ended).toBe('code 0')
    await aggregator.start()
  }
  await expectCountedOnce()
})
