import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClientBed, createClientBed } from './client-bed.ts'
import type { LogBatch, Step } from './log-cases.ts'
import { Play } from './partition-play.ts'
import { snapshotOf } from './state-snapshot.ts'

let bed: ClientBed

beforeAll(async () => (bed = await createClientBed()))
afterAll(async () => await bed.stop())

const MADE = '0mchx2z1aAZaz09_-AZaz09_-.65536.7'
/** What a commit's ids begin with since SDK-made ones are not hashed. */
const MARK_BYTES = 4

test('I5: commits of before there were intervals are loaded, their ids are known, those after them too', async () => {
  const batch = (...ids: string[]): LogBatch => ({
    appendTimeMs: 0,
    items: ids.map((id) => ({ id, counter: 'views', key: 'k', delta: 1, at: 100 })),
  })
  const commit: Step = { kind: 'commit', plan: { picks: [], cachedMax: 10, fails: false } }
  const fold: Step = { kind: 'fold', batches: 1, again: 0 }
  const crash: Step = { kind: 'crash', version: 0 }
  const one = new Play(bed)
  await one.begin([batch('a', 'b', 'c'), batch('a', MADE, 'd'), batch(MADE, 'a', 'd')], 0)
  for (const step of [fold, commit]) await one.take(step, false)
  const before = snapshotOf(one.driver.state)
  const { rowCount } = await bed.client.query(
    `update countersink_1.commits set ids = substring(ids from $2 + 1)
     where partition = $1 and ids <> ''`,
    [one.partition, MARK_BYTES],
  )
  expect(rowCount).toBe(1)
  await one.take(crash, false)
  expect(snapshotOf(one.driver.state)).toEqual(before)
  expect(one.driver.state.ids.mayBeHashed(0)).toBe(true)
  for (const step of [fold, commit, crash, fold, commit, crash]) await one.take(step, false)
  await one.finish()
  expect(one.driver.state.ids.intervals.sequences).toBe(1)
})
