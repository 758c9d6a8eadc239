import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClientBed, createClientBed } from './client-bed.ts'
import { cases, type LogItem, type LogPlan, type Step, VERSIONS } from './log-cases.ts'
import { neverCrashed, play } from './partition-play.ts'
import type { LeavingIds } from './partition-driver.ts'
import { snapshotOf } from './state-snapshot.ts'

let bed: ClientBed

beforeAll(async () => (bed = await createClientBed()))
afterAll(async () => await bed.stop())

/** More copies, fewer of them late, and ids that are hashed, many of them of one bucket. */
function narrowed(log: LogPlan): LogPlan {
  return log.map((batch) =>
    'flood' in batch ? batch : { ...batch, items: batch.items.map(narrowedItem) },
  )
}

function narrowedItem(one: LogItem): LogItem {
  if (typeof one === 'string' || one.at > 30_000) return one
  const number = Number(/\d+$/.exec(one.id)?.[0] ?? 0)
  const id = number % 5 === 0 ? one.id : `i${number % 12}`
  // Most in one bucket, and enough behind it that it grows old.
  const at = 12_000 + (one.at % (one.at < 20_000 ? 1000 : 9000))
  return { ...one, id, counter: 'views', key: 'k1', at }
}

/** With a small commit after each step, so that much is old before the log ends. */
function committed(steps: readonly Step[]): Step[] {
  const plan = { picks: [], cachedMax: 1000, fails: false }
  const some: Step[] = [
    { kind: 'fold', batches: 1, again: 0 },
    { kind: 'commit', plan },
  ]
  return [...some, ...some, ...steps.flatMap((step) => [step, ...some])]
}

const leaving = fc.constantFrom<LeavingIds>('worth-it', 'any')

/** What a state knows besides its ids, and how many of these there are, wherever they are. */
function knownBy({ ids, ...rest }: ReturnType<typeof snapshotOf>, cold: number) {
  return { ...rest, ids: ids.length + cold }
}

test('I1, I5: with all old ids in Postgres, and crashes at any moment, every outcome is the same', async () => {
  let found = 0
  let lastResorts = 0
  await fc.assert(
    fc.asyncProperty(cases, fc.boolean(), leaving, async (one, changing, cold) => {
      const log = narrowed(one.log)
      const { driver, stored, partition } = await play(bed, {
        ...{ log, steps: committed(one.steps), changing, cold },
      })
      found += driver.coldFound
      lastResorts += driver.lastResorts
      if (changing) return
      const known = knownBy(snapshotOf(neverCrashed(stored, partition)), 0)
      expect(knownBy(snapshotOf(driver.state), driver.state.ids.hashed.cold.count)).toEqual(known)
      await driver.claim(VERSIONS[0]!)
      expect(knownBy(snapshotOf(driver.state), driver.state.ids.hashed.cold.count)).toEqual(known)
    }),
    { numRuns: 80 },
  )
  expect(found).toBeGreaterThan(20)
  expect(lastResorts).toBeGreaterThan(3)
})

test('I5, I9: a log made again finds ids that were in Postgres before', async () => {
  const base = fc.integer({ min: 0, max: 5 })
  const late: boolean[] = []
  await fc.assert(
    fc.asyncProperty(cases, cases, base, leaving, async (first, second, wanted, cold) => {
      const log = narrowed(first.log)
      const one = await play(bed, { ...first, log, changing: false, cold })
      const to = Math.min(wanted, one.driver.state.next - 1)
      expect(await one.driver.move(to)).toBe(true)
      late.push(...(await one.driver.writeLate(to)))
      await one.begin(narrowed(second.log), to)
      for (const step of second.steps) await one.take(step, false)
      await one.finish()
    }),
    { numRuns: 25 },
  )
  expect(late.length).toBeGreaterThan(5)
  expect(late).not.toContain(true)
})
