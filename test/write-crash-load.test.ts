import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClientBed, createClientBed } from './client-bed.ts'
import { storedBatch } from './log-batches.ts'
import { cases, type LogBatch, type Step, VERSIONS } from './log-cases.ts'
import { neverCrashed, play } from './partition-play.ts'
import { snapshotOf } from './state-snapshot.ts'

let bed: ClientBed

beforeAll(async () => (bed = await createClientBed()))
afterAll(async () => await bed.stop())

test('I1, I2, I3, I13: written, crashed and loaded at any moment is as never having crashed, bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { driver, stored, partition } = await play(bed, { ...one, changing: false })
      const reference = snapshotOf(neverCrashed(stored, partition))
      expect(snapshotOf(driver.state)).toEqual(reference)
      await driver.claim(VERSIONS[0]!)
      expect(snapshotOf(driver.state)).toEqual(reference)
    }),
    { numRuns: 50 },
  )
})

test('I1: a contract takes effect at the offset that is written down, whatever crashes', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { driver } = await play(bed, { ...one, changing: true })
      expect(driver.state.isMoved).toBe(false)
    }),
    { numRuns: 30 },
  )
})

test('I5, I9: a log made again goes on behind what was counted, and its ids are remembered', async () => {
  const base = fc.integer({ min: 0, max: 5 })
  await fc.assert(
    fc.asyncProperty(cases, cases, base, async (first, second, wanted) => {
      const one = await play(bed, { ...first, changing: false })
      const to = Math.min(wanted, one.driver.state.next - 1)
      expect(await one.driver.move(to)).toBe(true)
      await one.begin(second.log, to)
      for (const step of second.steps) await one.take(step, false)
      await one.finish()
    }),
    { numRuns: 25 },
  )
})

test('I5: ids from before and after a log was made again outlive two crashes in a row', async () => {
  const batch = (...ids: string[]): LogBatch => ({
    appendTimeMs: 0,
    items: ids.map((id) => ({ id, counter: 'views', key: 'k', delta: 1, at: 100 })),
  })
  const fold: Step = { kind: 'fold', batches: 1, again: 0 }
  const commit: Step = { kind: 'commit', plan: { picks: [], cachedMax: 10, fails: false } }
  const crash: Step = { kind: 'crash', version: 0 }
  const one = await play(bed, { log: [batch('a', 'b')], steps: [], changing: false })
  expect(await one.driver.move(0)).toBe(true)
  await one.begin([batch('c'), batch('d'), batch('a', 'c', 'd')], 0)
  for (const step of [fold, commit, crash, fold, commit, crash]) await one.take(step, false)
  await one.finish()
})

test('I12: rejects are a sample: at most 10,000 of a partition, the newest, whatever is rejected', async () => {
  const one = await play(bed, { log: [garbage(1)], steps: [], changing: false })
  const { partition, driver } = one
  let offset = 1
  for (let commit = 0; commit < 130; commit++) {
    const stored = await storedBatch(
      Array.from({ length: 120 }, () => GARBAGE),
      offset,
    )
    await driver.fold([stored], offset)
    await driver.commit({ picks: [], cachedMax: 10, fails: commit % 50 === 49 })
    if (commit === 60) await driver.claim(VERSIONS[0]!)
    offset = stored.nextOffset
    expect(await rejectsOf(partition)).toMatchObject({ few: true, newest: String(offset - 21) })
  }
})

const GARBAGE = { value: Buffer.from('no JSON'), appendTimeMs: 0 }

function garbage(count: number): LogBatch {
  return { appendTimeMs: 0, items: Array.from({ length: count }, () => 'garbage' as const) }
}

async function rejectsOf(partition: number) {
  const { rows } = await bed.client.query(
    `select count(*) <= 10000 as few, max("offset") as newest
     from countersink_1.rejects where partition = $1`,
    [partition],
  )
  return rows[0] as unknown
}
