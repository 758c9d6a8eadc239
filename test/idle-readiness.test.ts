import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCountedBed, type CountedBed } from './counted-bed.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

let bed: CountedBed
let aggregator: ServiceHandle

beforeAll(async () => {
  bed = await createCountedBed({ partitions: 2 })
  aggregator = await bed.startService('aggregator', { until: 'alive' })
})

afterAll(async () => {
  await bed?.stop()
})

async function untilClaimed(): Promise<void> {
  const check = async (): Promise<boolean> => (await bed.tally.offsets()).size === 2
  await waitFor(check, { what: 'both partitions to be claimed' })
}

async function untilReady(): Promise<void> {
  const check = async (): Promise<boolean> => (await fetch(`${aggregator.url}/readyz`)).ok
  await waitFor(check, { what: '/readyz to say yes', timeoutMs: 10_000 })
}

test('an aggregator that has never had anything to commit is ready, and again after its connections broke', async () => {
  await untilClaimed()
  await untilReady()
  const cut = await bed.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'countersink-aggregator%'`,
  )
  expect(cut.length).toBeGreaterThan(0)
  await untilReady()
  await bed.write(100)
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
})
