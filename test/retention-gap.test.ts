import { afterEach, expect, test } from 'vitest'
import { createGapBed, type GapBed, untilOthersReach } from './gap-bed.ts'
import type { WrittenEvent } from './log-writer.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

/** The partition that loses something; the others must never stop. */
const LOSER = 1
/** Long enough for a process that is stopped a while to stay in the group. */
const SESSION_TIMEOUT_MS = 60_000
/** So often there may be no gap after all. */
const PASSES_MAX = 5

let bed: GapBed

afterEach(async () => {
  await bed.stop()
})

/** Tells the oracle all but what the loser has lost: from `reached` on, before `start`. */
function tell(written: readonly WrittenEvent[], start: number, reached = 0): void {
  const isLost = (offset: number): boolean => offset >= reached && offset < start
  bed.tally.add(written.filter((one) => one.partition !== LOSER || !isLost(one.offset)))
}

async function expectExact(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
}

async function gaps() {
  return await bed.sql<{ partition: number; from_offset: string; to_offset: string }>(
    'select partition, from_offset, to_offset from countersink_1.gaps',
  )
}

test('I9, F18: retention that passed the stored offset before a start halts that partition alone, until an operator decides', async () => {
  bed = await createGapBed()
  const aggregator = await bed.startService('aggregator')
  await bed.write(600)
  await expectExact()
  await aggregator.stop()

  const stored = await bed.next(LOSER)
  const lost = await bed.append(bed.events(300))
  const kept = await bed.append(bed.events(300))
  const start = kept.find(({ partition }) => partition === LOSER)!.offset
  await bed.deleteBefore(LOSER, start)
  const starting = aggregator.start()
  const reason = await bed.halted(aggregator, LOSER)
  expect(reason).toContain(`the log begins at ${start}`)
  expect(reason).toContain(`offsets ${stored} to ${start - 1}`)
  await untilOthersReach(bed.tally, LOSER, kept)
  expect(await bed.next(LOSER)).toBe(stored)

  await bed.decide(aggregator, LOSER, start)
  await starting
  tell([...lost, ...kept], start)
  await expectExact()
  expect(await gaps()).toEqual([
    { partition: LOSER, from_offset: String(stored), to_offset: String(start) },
  ])
  // What was remembered before the gap is remembered behind it, also by the next owner.
  await aggregator.kill()
  await aggregator.start()
  await bed.write(600)
  await expectExact()
})

/** Empty while the loser neither halts nor has counted everything before `end`. */
async function standing(end: number): Promise<'halted' | 'counted' | ''> {
  const [row] = await bed.sql<{ halted: boolean; counted: boolean }>(
    `select halted is not null as halted, next >= $2 as counted
     from countersink_1.partitions where partition = $1`,
    [LOSER, end],
  )
  if (row?.halted === true) return 'halted'
  return row?.counted === true ? 'counted' : ''
}

type Passed = { isHalted: boolean; written: WrittenEvent[]; start: number }

/**
 * Retention passes a stopped aggregator. Once in a while all of it is counted: a fetch that was on
 * its way when the aggregator was stopped, or whose answer a busy broker was slow to make, has read
 * what was to be lost before it was deleted. Then there is no gap.
 */
async function passBy(aggregator: ServiceHandle): Promise<Passed> {
  await aggregator.kill('SIGSTOP')
  // The fetch that waits at the broker is answered by the first of these.
  const rounds = [60, 300, 300].map((count) => bed.events(count))
  const written: WrittenEvent[][] = []
  for (const events of rounds) written.push(await bed.append(events))
  const kept = written.at(-1)!.filter(({ partition }) => partition === LOSER)
  const start = kept[0]!.offset
  await bed.deleteBefore(LOSER, start)
  await aggregator.kill('SIGCONT')
  const stand = await waitFor(async () => await standing(kept.at(-1)!.offset + 1), {
    what: 'a halt, or everything to be counted',
  })
  return { isHalted: stand === 'halted', written: written.flat(), start }
}

test('I9, F18: retention that passes a lagging aggregator in mid-run halts that partition alone', async () => {
  bed = await createGapBed({ COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) })
  const aggregator = await bed.startService('aggregator')
  await bed.write(600)
  await expectExact()

  let stored = await bed.next(LOSER)
  let passed = await passBy(aggregator)
  for (let tries = 1; !passed.isHalted && tries < PASSES_MAX; tries++) {
    // A gap that was passed in silence would be missing here.
    bed.tally.add(passed.written)
    await expectExact()
    stored = await bed.next(LOSER)
    passed = await passBy(aggregator)
  }
  const { written, start } = passed
  expect(await bed.halted(aggregator, LOSER)).toContain('the log does not hold offset')
  await untilOthersReach(bed.tally, LOSER, written)

  await bed.decide(aggregator, LOSER, start)
  const [gap, ...others] = (await gaps()).map((one) => [one.from_offset, one.to_offset].map(Number))
  expect(others).toEqual([])
  const [from = NaN, to] = gap ?? []
  expect(from).toBeGreaterThanOrEqual(stored)
  expect(from).toBeLessThan(start)
  expect(to).toBe(start)
  tell(written, start, from)
  await bed.write(600)
  await expectExact()
})
