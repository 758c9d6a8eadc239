import { afterEach, expect, test } from 'vitest'
import { createGapBed, type GapBed, PARTITIONS } from './gap-bed.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

/** Long enough for a process that is stopped a while to stay in the group. */
const SESSION_TIMEOUT_MS = 60_000

let bed: GapBed

afterEach(async () => {
  await bed.stop()
})

async function expectExact(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
}

/** Every partition is on another log now: each halts, and each is told to start over. */
async function startAllOver(aggregator: ServiceHandle): Promise<string[]> {
  const reasons = await waitFor<string[] | undefined>(
    async () => {
      const rows = await bed.sql<{ halted: string }>(
        'select halted from countersink_1.partitions where halted is not null',
      )
      return rows.length === PARTITIONS ? rows.map(({ halted }) => halted) : undefined
    },
    { what: 'every partition to halt' },
  )
  expect((await fetch(`${aggregator.url}/readyz`)).status).toBe(503)
  await bed.sql(
    'insert into countersink_1.gap_decisions (partition, to_offset) select partition, 0 from countersink_1.partitions',
  )
  await waitFor(async () => (await fetch(`${aggregator.url}/readyz`)).status === 200, {
    what: 'every partition to go on',
  })
  return reasons ?? []
}

/** New events and repetitions of old ones, once and again after a crash. */
async function expectRemembered(aggregator: ServiceHandle): Promise<void> {
  await expectExact()
  for (let round = 0; round < 2; round++) {
    await bed.write(300)
    await expectExact()
    await aggregator.kill()
    await aggregator.start()
  }
  await bed.write(300)
  await expectExact()
}

test('I9, F19: a topic made again and shorter halts its partitions; told to start over they keep their totals and remember their ids', async () => {
  bed = await createGapBed()
  const aggregator = await bed.startService('aggregator')
  await bed.write(600)
  await expectExact()
  await aggregator.stop()

  await bed.makeTopicAgain()
  const written = await bed.append(bed.events(60))
  const starting = aggregator.start()
  for (const reason of await startAllOver(aggregator)) expect(reason).toContain('the log ends at')
  await starting
  bed.tally.add(written)
  await expectRemembered(aggregator)
})

test('I9, F19: a topic made again and refilled past the stored offsets is recognised by its records', async () => {
  bed = await createGapBed()
  const aggregator = await bed.startService('aggregator')
  await bed.write(600)
  await expectExact()
  await aggregator.stop()

  await bed.makeTopicAgain()
  const written = await bed.append(bed.events(1200))
  const starting = aggregator.start()
  for (const reason of await startAllOver(aggregator)) {
    expect(reason).toContain('is not the one that was counted')
  }
  await starting
  bed.tally.add(written)
  await expectRemembered(aggregator)
})

test.each([
  ['and shorter', 60],
  ['and refilled past the stored offsets', 1200],
])(
  'I9, F19: a topic made again %s under a running aggregator halts its partitions',
  async (_, count) => {
    bed = await createGapBed({ COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) })
    const aggregator = await bed.startService('aggregator')
    await bed.write(600)
    await expectExact()

    await aggregator.kill('SIGSTOP')
    await bed.makeTopicAgain()
    const written = await bed.append(bed.events(count))
    await aggregator.kill('SIGCONT')
    await startAllOver(aggregator)
    bed.tally.add(written)
    await expectRemembered(aggregator)
  },
)
