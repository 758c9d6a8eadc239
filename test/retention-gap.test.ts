import { afterEach, expect, test } from 'vitest'
import { createGapBed, type GapBed, untilOthersReach } from './gap-bed.ts'
import type { WrittenEvent } from './log-writer.ts'

/** The partition that loses something; the others must never stop. */
const LOSER = 1
/** Long enough for a process that is stopped a while to stay in the group. */
const SESSION_TIMEOUT_MS = 60_000

let bed: GapBed

afterEach(async () => {
  await bed.stop()
})

/** Tells the oracle all but what the loser has lost before `from`. */
function tell(written: readonly WrittenEvent[], from: number): void {
  bed.tally.add(written.filter(({ partition, offset }) => partition !== LOSER || offset >= from))
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

test('I9, F18: retention that passes a lagging aggregator in mid-run halts that partition alone', async () => {
  bed = await createGapBed({ COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) })
  const aggregator = await bed.startService('aggregator')
  await bed.write(600)
  await expectExact()

  await aggregator.kill('SIGSTOP')
  const stored = await bed.next(LOSER)
  // The fetch that waits at the broker is answered by these.
  await bed.write(60)
  const lost = await bed.append(bed.events(300))
  const kept = await bed.append(bed.events(300))
  const start = kept.find(({ partition }) => partition === LOSER)!.offset
  await bed.deleteBefore(LOSER, start)
  await aggregator.kill('SIGCONT')
  expect(await bed.halted(aggregator, LOSER)).toContain('the log does not hold offset')
  await untilOthersReach(bed.tally, LOSER, kept)
  const reached = await bed.next(LOSER)
  expect(reached).toBeGreaterThanOrEqual(stored)
  expect(reached).toBeLessThan(start)

  await bed.decide(aggregator, LOSER, start)
  tell([...lost, ...kept], start)
  await bed.write(600)
  await expectExact()
  expect((await gaps()).map(({ to_offset }) => Number(to_offset))).toEqual([start])
})
