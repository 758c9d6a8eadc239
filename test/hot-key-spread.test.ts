import type { EventInput, Producer } from '@countersink/producer'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  HotLoad,
  lags,
  QUICK_ROUTING,
  routingVersions,
  startProducers,
  worstShare,
} from './routing-bed.ts'
import { createTestBed, type TestBed, waitFor } from './stack.ts'
import { createStoredCounts } from './stored-counts.ts'

const PARTITIONS = 8
const BURST = 20_000
const PAUSE_MS = 20

/** Adds events to the end: what was not delivered is added again, as its sender would. */
async function send(producer: Producer, events: readonly EventInput[]): Promise<void> {
  for (let rest = events; rest.length > 0;) {
    const receipt = await producer.addMany(rest)
    expect(receipt.invalid).toEqual([])
    rest = receipt.undelivered.map(({ event }) => event)
  }
}

async function totals(bed: TestBed): Promise<Record<string, string>> {
  const rows = await bed.sql<{ key: string; total: string }>(
    `select key, total from countersink.totals where dims = '{}' order by key collate "C"`,
  )
  return Object.fromEntries(rows.map(({ key, total }) => [key, total]))
}

async function settled(bed: TestBed): Promise<void> {
  await waitFor(async () => (await lags(bed)).every((lag) => lag === 0), {
    what: 'everything to be counted',
  })
}

test('I5: one key at 60% of the traffic is spread over all partitions, and copies sent across the change meet', async () => {
  const bed = await createTestBed({ partitions: PARTITIONS, env: QUICK_ROUTING })
  const aggregators = [await bed.startService('aggregator'), await bed.startService('aggregator')]
  const api = await bed.startService('query-api')
  await routingVersions(bed, 1)
  await waitFor(async () => (await lags(bed)).length === PARTITIONS, { what: 'all owners' })
  const producers = await startProducers(bed, 'json', 'packed')
  const load = new HotLoad()
  let stopped = false

  /** How the lag lies over the partitions when a burst meets aggregators that stand still. */
  async function burst(): Promise<number[]> {
    for (const aggregator of aggregators) await aggregator.kill('SIGSTOP')
    await send(producers[0]!, load.make(BURST, Date.now()))
    const behind = await lags(bed)
    for (const aggregator of aggregators) await aggregator.kill('SIGCONT')
    await settled(bed)
    return behind
  }

  /** Traffic all the time, from both producers; each event has the time at which it is added. */
  async function traffic(producer: Producer): Promise<void> {
    while (!stopped) {
      await send(producer, load.make(100, Date.now()))
      await sleep(PAUSE_MS)
    }
  }

  const before = await burst()
  expect(worstShare(before)).toBeGreaterThan(0.6)
  const running = producers.map(traffic)
  const [, version] = await routingVersions(bed, 2)
  expect(version?.spreads).toEqual([{ counter: 'views', key: 'hot', ways: PARTITIONS }])
  const effectiveAt = version?.effectiveAt ?? 0
  expect(effectiveAt).toBeGreaterThan(Date.now())
  await aggregators[0]!.kill()
  await aggregators[0]!.start()
  await waitFor(() => Date.now() > effectiveAt + 1000, { what: 'the change' })
  await aggregators[1]!.kill()
  await aggregators[1]!.start()
  // Copies of what was sent before, around and after the change, by the other producer.
  const copies = load.sent.filter((_, i) => i % 3 === 0)
  const hot = copies.filter(({ key }) => key === 'hot').map(({ at }) => Number(at))
  expect(hot.filter((at) => at < effectiveAt).length).toBeGreaterThan(100)
  expect(hot.filter((at) => at >= effectiveAt).length).toBeGreaterThan(100)
  await send(producers[1]!, copies)
  stopped = true
  await Promise.all(running)
  await send(producers[0]!, load.sent.slice(-2000))
  await settled(bed)

  const after = await burst()
  expect(worstShare(after)).toBeLessThan(0.2)
  expect(await totals(bed)).toEqual(load.expected)
  const answer = await fetch(`${api.url}/v1/counters/views/keys/hot`)
  expect(await answer.json()).toMatchObject({ total: load.expected['hot'], lagMs: 0 })
  const ledger = await createStoredCounts(bed).ledger()
  const distinct = [...load.totals.values()].reduce((sum, total) => sum + total, 0)
  const again = copies.length + 2000
  expect(ledger).toEqual({
    read: distinct + again,
    applied: distinct,
    duplicate: again,
    conflict: 0,
    late: 0,
    invalid: 0,
  })
  const [row] = await bed.sql<{ misrouted: string; partitions: string }>(
    `select sum(misrouted) as misrouted, (select count(distinct partition)
       from countersink_1.series where key = 'hot') as partitions
     from countersink_1.partitions`,
  )
  expect(row).toEqual({ misrouted: '0', partitions: String(PARTITIONS) })
  await Promise.all(producers.map((producer) => producer.stop()))
  await bed.stop()
})
