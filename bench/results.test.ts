import { expect, test } from 'vitest'
import { eventCount } from './loads.ts'
import { median } from './results.ts'

test.each([
  [[], Number.NaN],
  [[3], 3],
  [[1, 9], 5],
  [[9, 1, 2], 2],
  [[4, 10, 1, 2], 3],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected)
})

test('events are asked for by number or by the million', () => {
  expect(['300000', '8m', '0.5M'].map(eventCount)).toEqual([300_000, 8_000_000, 500_000])
  for (const text of ['', '0', '-1', 'm', '1k', '1.5', '1.2.3m']) {
    expect(() => eventCount(text)).toThrow('no number of events')
  }
})
