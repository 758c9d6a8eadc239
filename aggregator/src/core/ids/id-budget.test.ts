import { expect, test } from 'vitest'
import { IdBudget } from './id-budget.ts'
import { addHashed, hashedState } from './id-samples.ts'

const IDS = 1000

test('what fits when everything old is in Postgres is not refused', () => {
  const state = hashedState()
  addHashed(state, 'old', IDS)
  addHashed(state, 'new', IDS)
  const states = [state]
  // 20 bytes for each that stays, 2 for each that may leave, and for those to come.
  const least = 20 * IDS + 2 * IDS + 2 * IDS
  expect(new IdBudget(least).cannotHold(IDS, states)).toBe(false)
  expect(new IdBudget(least - 1).cannotHold(IDS, states)).toBe(true)
  const { hashed } = state.ids
  const [old] = [...hashed.buckets()]
  hashed.beginCooling(old!, 0)
  expect(new IdBudget(least).cannotHold(IDS, states)).toBe(false)
  expect(new IdBudget(least - 1).cannotHold(IDS, states)).toBe(true)
})

test('a bucket of few ids leaves only as the last resort, and the newest never does', () => {
  const [one, other] = [hashedState(), hashedState()]
  addHashed(one, 'old', 10)
  addHashed(other, 'old', 20)
  addHashed(other, 'new', IDS)
  const budget = new IdBudget(2 ** 30)
  expect(budget.candidate([one, other], true)).toBeUndefined()
  expect(budget.lastResort([one, other], true)).toMatchObject({
    state: other,
    bucket: { count: 20 },
  })
  const { bucket } = budget.lastResort([other], true)!
  other.ids.hashed.beginCooling(bucket, 0)
  expect(budget.lastResort([other], true)).toBeUndefined()
  expect(budget.lastResort([one, other], true)).toMatchObject({ state: one })
  one.ids.hashed.insert([...one.ids.hashed.buckets()][0]!, Int32Array.of(1, 2, 3, 4), 0)
  expect(budget.lastResort([one, other], true)).toBeUndefined()
  expect(budget.lastResort([one, other], false)).toMatchObject({ state: one })
})
