import { withAdmin } from '@countersink/local/topic'
import { createProducer, type EventInput } from '@countersink/producer'
import { homePartition, recordHash } from '@countersink/shared/routing'
import { expect, test } from 'vitest'
import { runCli } from './cli-runner.ts'
import { lags, QUICK_ROUTING, routingVersions, startProducers } from './routing-bed.ts'
import { createTestBed, ownServers, waitFor } from './stack.ts'
import { createStoredCounts } from './stored-counts.ts'

const KEYS = 100

function events(name: string, at: number): EventInput[] {
  return Array.from({ length: KEYS }, (_, i) => ({
    id: `${name}-${i}`,
    counter: 'views',
    key: `key-${i}`,
    at,
  }))
}

test('F21, I5: partitions are added: copies meet their first ones, and later events use all partitions', async () => {
  const bed = await createTestBed({ partitions: 3, env: QUICK_ROUTING })
  const aggregator = await bed.startService('aggregator')
  await routingVersions(bed, 1)
  const [one, two] = await startProducers(bed, 'json', 'packed')
  const before = events('before', Date.now())
  await one!.addMany(before)
  await withAdmin(bed.brokers.split(','), (admin) => admin.addPartitions(bed.topic, 7))
  const [, version] = await routingVersions(bed, 2)
  expect(version).toMatchObject({ partitions: 7, spreads: [] })
  // The topic has more partitions, but what happens before the change goes by the former number.
  const late = await startProducers(bed, 'packed')
  const between = events('between', Date.now())
  expect(version?.effectiveAt).toBeGreaterThan(Date.now())
  await late[0]!.addMany(between)
  await waitFor(() => Date.now() > (version?.effectiveAt ?? 0), { what: 'the change' })
  const after = events('after', Date.now())
  const receipt = await two!.addMany(after)
  expect([...receipt.positionFields().next.keys()].toSorted((a, b) => a - b)).toEqual(
    [
      ...new Set(after.map(({ counter, key }) => homePartition(recordHash(counter, key), 7))),
    ].toSorted((a, b) => a - b),
  )
  for (const copies of [before, between, after]) await two!.addMany(copies)
  for (const copies of [before, between, after]) await late[0]!.addMany(copies)
  await waitFor(
    async () => {
      const now = await lags(bed)
      return now.length === 7 && now.every((lag) => lag === 0)
    },
    { what: 'all partitions to be counted' },
  )
  expect(await createStoredCounts(bed).ledger()).toMatchObject({
    applied: 3 * KEYS,
    duplicate: 6 * KEYS,
    invalid: 0,
  })
  const sums = await bed.sql<{ misrouted: string }>(
    'select sum(misrouted) as misrouted from countersink_1.partitions',
  )
  expect(sums).toEqual([{ misrouted: '0' }])
  await Promise.all([...[one!, two!, ...late].map((producer) => producer.stop())])
  await aggregator.stop()
  await bed.stop()
})

test('a contract spreads a counter; many aggregators tell it once, and the command line shows it', async () => {
  const contractsYaml = 'counters: { wide: { spread: 4 }, plain: {} }'
  const bed = await createTestBed({ partitions: 4, contractsYaml, env: QUICK_ROUTING })
  const starting = Array.from({ length: 3 }, () => bed.startService('aggregator'))
  const aggregators = await Promise.all(starting)
  const [, version] = await routingVersions(bed, 2)
  expect(version?.spreads).toEqual([{ counter: 'wide', ways: 4 }])
  const run = await runCli(['routing', '--json'], { env: bed.env })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(run.stdout)).toMatchObject({
    versions: [
      { version: 1, partitions: 4, spreads: [], leaseMs: 1000, aheadMs: 1000, marginMs: 500 },
      {
        version: 2,
        effectiveAt: new Date(version?.effectiveAt ?? 0).toISOString(),
        partitions: 4,
        spreads: [{ counter: 'wide', ways: 4 }],
      },
    ],
  })
  expect((await runCli(['routing'], { env: bed.env })).stdout).toContain('wide/* x4')
  await waitFor(() => Date.now() > (version?.effectiveAt ?? 0), { what: 'the change' })
  const [producer] = await startProducers(bed, 'packed')
  const list = Array.from({ length: 200 }, (_, i) => ({
    id: `id-${i}`,
    counter: i % 2 === 0 ? 'wide' : 'plain',
    key: 'one',
    at: Date.now(),
  }))
  await producer!.addMany(list)
  await waitFor(async () => (await lags(bed)).every((lag) => lag === 0), { what: 'all counted' })
  const spread = await bed.sql<{ name: string; partitions: string }>(
    `select name, count(distinct partition) as partitions from countersink_1.series
     join countersink_1.counters using (counter) group by name order by name`,
  )
  expect(spread).toEqual([
    { name: 'plain', partitions: '1' },
    { name: 'wide', partitions: '4' },
  ])
  await producer!.stop()
  await Promise.all(aggregators.map((aggregator) => aggregator.stop()))
  expect(await routingVersions(bed, 2)).toHaveLength(2)
  await bed.stop()
})

test('I5: who cannot read the routing for longer than its lease holds events with ids back, and goes on by itself', async () => {
  const servers = await ownServers()
  const bed = await createTestBed({ partitions: 2, servers, env: QUICK_ROUTING })
  const aggregator = await bed.startService('aggregator')
  await routingVersions(bed, 1)
  const producer = createProducer({ brokers: bed.brokers.split(','), topic: bed.topic })
  await producer.start()
  const add = (id: string) => producer.add({ id, counter: 'views', key: 'k', at: Date.now() })
  await add('first')
  servers.kafka.pause()
  let held: Promise<unknown> | undefined
  await waitFor(
    () => {
      if (producer.stats().waitingEvents > 0) return true
      // Until the lease is over they are buffered, as always.
      held = add(`id-${Date.now()}`)
      return producer.stats().waitingEvents > 0
    },
    { what: 'the lease to be over' },
  )
  servers.kafka.resume()
  await held
  expect(producer.stats()).toMatchObject({ waitingEvents: 0, undelivered: 0, invalid: 0 })
  await producer.stop()
  await aggregator.stop()
  await bed.stop()
  await servers.stop()
})
