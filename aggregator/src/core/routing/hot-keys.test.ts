import { expect, test } from 'vitest'
import { HotKeys, waysWanted } from './hot-keys.ts'

const OPTIONS = { shareMin: 0.25, perSecondMin: 1000 }
const hot = { total: 1000, keys: [{ counter: 2, slot: 5, count: 600 }] }
const cold = { total: 1000, keys: [{ counter: 2, slot: 5, count: 200 }] }

test('a key is hot when it was so in three windows in a row', () => {
  const keys = new HotKeys(OPTIONS)
  expect(keys.take(hot, 5000)).toEqual([])
  expect(keys.take(hot, 5000)).toEqual([])
  expect(keys.take(hot, 5000)).toEqual([{ counter: 2, slot: 5, share: 0.6, perSecond: 7320 }])
  expect(keys.take(cold, 5000)).toEqual([])
  expect(keys.take(hot, 5000)).toEqual([])
})

test.each([
  ['it is slow', { ...OPTIONS, perSecondMin: 10_000 }, hot],
  [
    'too few events were looked at',
    OPTIONS,
    { total: 29, keys: [{ counter: 0, slot: 0, count: 29 }] },
  ],
  ['detection is off', { ...OPTIONS, shareMin: 0 }, hot],
])('a key is not hot when %s', (_, options, sample) => {
  const keys = new HotKeys(options)
  for (let window = 0; window < 5; window++) expect(keys.take(sample, 5000)).toEqual([])
})

test('ways are such that about half of what makes a key hot remains', () => {
  expect(waysWanted(0.92, 0.25, 1)).toBe(8)
  expect(waysWanted(0.3, 0.25, 1)).toBe(4)
  expect(waysWanted(0.3, 0.25, 4)).toBe(16)
})
