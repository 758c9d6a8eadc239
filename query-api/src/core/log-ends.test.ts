import { expect, test } from 'vitest'
import { LogEnds } from './log-ends.ts'

function seen(...samples: [at: number, end: number][]): LogEnds {
  const ends = new LogEnds()
  for (const [at, end] of samples) ends.observe(new Map([[0, end]]), at)
  return ends
}

test('nothing is behind when everything up to the last seen end is counted', () => {
  const ends = seen([1000, 10], [1500, 20])
  expect(ends.lagMs(0, 20, 0, 1600)).toBe(0)
  expect(ends.lagMs(0, 25, 0, 1600)).toBe(0)
  expect(ends.lagMs(9, 0, 0, 1600)).toBe(0)
})

test('the oldest uncounted record came after the last look that did not see it', () => {
  const ends = seen([1000, 10], [1500, 20], [2000, 30])
  expect(ends.lagMs(0, 20, 0, 2100)).toBe(600)
  expect(ends.lagMs(0, 15, 0, 2100)).toBe(1100)
})

test('and after the youngest record that is counted', () => {
  const ends = seen([1000, 10], [1500, 20])
  expect(ends.lagMs(0, 10, 1400, 1600)).toBe(200)
  expect(ends.lagMs(0, 10, 900, 1600)).toBe(600)
})

test('what was there at the first look already is at least as old as that look', () => {
  const ends = seen([1000, 10])
  expect(ends.lagMs(0, 5, 0, 1600)).toBe(600)
  expect(ends.lagMs(0, 5, 200, 1600)).toBe(1400)
})

test('what was not seen lately is not known', () => {
  expect(new LogEnds().lagMs(0, 0, 0, 10_000)).toBeUndefined()
  const ends = seen([1000, 10])
  expect(ends.lagMs(0, 10, 0, 6001)).toBeUndefined()
  expect(ends.end(0)).toBe(10)
  expect(ends.isFresh(6000)).toBe(true)
})

test('a lag is never rounded down to nothing', () => {
  expect(seen([1000, 10], [1000, 20]).lagMs(0, 10, 0, 1000)).toBe(1)
})
