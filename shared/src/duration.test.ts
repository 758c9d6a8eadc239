import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from './duration.ts'

test.each([
  ['250ms', 250],
  ['90s', 90_000],
  ['15m', 900_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
  ['001s', 1000],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '0s', '-1s', '1', 's', '1.5h', '1 h', '1h30m', '1w', '1H', '999999999999d', '1s\n'])(
  '%j is no duration',
  (text) => {
    expect(parseDuration(text)).toBeUndefined()
  },
)

test.each([
  [60_000, '1m'],
  [86_400_000, '1d'],
  [5_400_000, '90m'],
  [1500, '1500ms'],
])('%i ms is written %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('what is written reads the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 ** 12 - 1 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
})
