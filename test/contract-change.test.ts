import { writeFile } from 'node:fs/promises'
import { afterEach, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { waitFor } from './stack.ts'

let bed: CountedBed

afterEach(async () => {
  await bed.stop()
})

test('F28: contracts that cannot follow those in force are refused, and say why', async () => {
  bed = await createCountedBed({ partitions: 2 })
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  await bed.write(500)
  await bed.tally.settled()
  const contracts = bed.env['COUNTERSINK_CONTRACTS'] ?? ''
  await writeFile(contracts, 'defaults: { lateness: 48h, windows: [10s, 1m, 1h] }')
  const newer = await bed.startService('aggregator', { until: 'spawned' })
  expect(await newer.ended()).toBe('code 1')
  expect(await newer.logs()).toContain('cannot follow those in force without a replay')

  // The one that was there goes on, also with what the other had been given for a moment.
  await bed.write(500)
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
  await waitFor(async () => (await fetch(`${aggregator.url}/readyz`)).ok, { what: 'readiness' })
})

test('I7, F28: a counter whose sums are kept otherwise than by default stays in the contracts', async () => {
  bed = await createCountedBed({ partitions: 2 })
  const contracts = bed.env['COUNTERSINK_CONTRACTS'] ?? ''
  await writeFile(contracts, 'defaults: { lateness: 24h, windows: [5m] }')
  const aggregator = await bed.startService('aggregator', { until: 'alive' })
  await bed.write(100)
  await bed.tally.settled()
  await aggregator.stop()
  await writeFile(contracts, 'unknownCounters: reject')
  const newer = await bed.startService('aggregator', { until: 'spawned' })
  expect(await newer.ended()).toBe('code 1')
  expect(await newer.logs()).toContain('windows change')
})
