import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { waitFor } from './stack.ts'

let bed: CountedBed

beforeAll(async () => {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }
  bed = await createCountedBed({ partitions: 4, env })
})

afterAll(async () => {
  await bed.stop()
})

test('I3, I4, I5, I6: killed again and again in mid-work, everything is counted once', async () => {
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  for (let round = 0; round < 8; round++) {
    const before = await bed.tally.position()
    await bed.write(3000)
    await waitFor(async () => (await bed.tally.position()) > before, { what: 'progress' })
    if (round < 7) {
      await aggregator.kill()
      await aggregator.start()
    }
  }
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
})
