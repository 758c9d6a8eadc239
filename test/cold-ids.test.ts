import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClientBed, createClientBed } from './client-bed.ts'
import { cases, type LogItem, type LogPlan, type Step, VERSIONS } from './log-cases.ts'
import { neverCrashed, play } from './partition-play.ts'
import { snapshotOf } from './state-snapshot.ts'

let bed: ClientBed

beforeAll(async () => (bed = await createClientBed()))
afterAll(async () => await bed.stop())

/** More copies, fewer of them late, and ids that are hashed. */
function narrowed(log: LogPlan): LogPlan {
  return log.map((batch) =>
    'flood' in batch ? batch : { ...batch, items: batch.items.map(narrowedItem) },
  )
}

function narrowedItem(one: LogItem): LogItem {
  if (typeof one === 'string' || one.at > 30_000) return one
  const number = Number(/\d+$/.exec(one.id)?.[0] ?? 0)
  const id = number % 5 === 0 ? one.id : `i${number % 8}`
  return { ...one, id, counter: 'views', key: 'k1', at: 12_000 + (one.at % 9000) }
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

/** What a state knows besides its ids, and how many of these there are, wherever they are. */
function knownBy({ ids, ...rest }: ReturnType<typeof snapshotOf>, cold: number) {
  return { ...rest, ids: ids.length + cold }
}

test('I1, I5: with all old ids in Postgres, and crashes at any moment, every outcome is the same', async () => {
  let found = 0
  await fc.assert(
    fc.asyncProperty(cases, fc.boolean(), async (one, changing) => {
      const log = narrowed(one.log)
      const { driver, stored, partition } = await play(bed, {
        ...{ log, steps: committed(one.steps), changing, cold: true },
      })
      found += driver.coldFound
      if (changing) return
      const known = knownBy(snapshotOf(neverCrashed(stored, partition)), 0)
      expect(knownBy(snapshotOf(driver.state), driver.state.ids.hashed.cold.count)).toEqual(known)
      await driver.claim(VERSIONS[0]!)
      expect(knownBy(snapshotOf(driver.state), driver.state.ids.hashed.cold.count)).toEqual(known)
    }),
    { numRuns: 80 },
  )
  expect(found).toBeGreaterThan(20)
})

test('I5, I9: a log made again finds ids that were in Postgres before', async () => {
  const base = fc.integer({ min: 0, max: 5 })
  const late: boolean[] = []
  await fc.assert(
    fc.asyncProperty(cases, cases, base, async (first, second, wanted) => {
      const log = narrowed(first.log)
      const one = await play(bed, { ...first, log, changing: false, cold: true })
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
