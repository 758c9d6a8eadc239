import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatTime,
  KEPT_WINDOWS_MAX,
  parseTime,
  planWindows,
  WINDOWS_MAX,
  type WindowsAsked,
} from './window-range.ts'

const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 86_400_000
const SIZES = [MINUTE, HOUR, DAY]
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

function plan(asked: Partial<WindowsAsked>, sizes: readonly number[] = SIZES) {
  const none = { from: undefined, to: undefined, step: undefined, tz: undefined }
  return planWindows({ ...none, ...asked }, sizes, NOW)
}

test('a step is summed up from the largest kept size that divides it', () => {
  const sizeOf = (step: string) => plan({ step, to: '86400000' })
  expect(sizeOf('1m')).toMatchObject({ size: MINUTE, step: MINUTE })
  expect(sizeOf('15m')).toMatchObject({ size: MINUTE, step: 15 * MINUTE })
  expect(sizeOf('1h')).toMatchObject({ size: HOUR })
  expect(sizeOf('90m')).toMatchObject({ size: MINUTE })
  expect(sizeOf('6h')).toMatchObject({ size: HOUR })
  expect(sizeOf('7d')).toMatchObject({ size: DAY })
})

test('only windows inside [from, to), aligned to the epoch', () => {
  const asked = { from: '90000', to: '300001', step: '1m' }
  expect(plan(asked)).toMatchObject({ from: 120_000, to: 300_000 })
  expect(plan({ from: '61000', to: '62000', step: '1m' })).toMatchObject({
    from: 120_000,
    to: 120_000,
  })
  expect(plan({ from: '60000', to: '60000' })).toMatchObject({ from: 60_000, to: 60_000 })
})

test('without anything: the last 60 windows of the finest size, the current one included', () => {
  const got = plan({})
  expect(got).toEqual({
    size: MINUTE,
    step: MINUTE,
    from: Date.UTC(2026, 0, 2, 2, 5),
    to: Date.UTC(2026, 0, 2, 3, 5),
  })
})

test.each([
  [{ step: '1x' }, /step must be a duration/],
  [{ step: '90s' }, /multiple of a kept window size: 1m, 1h, 1d/],
  [{ step: '0m' }, /step must be a duration/],
  [{ from: 'yesterday' }, /from must be an RFC 3339 time/],
  [{ to: '-1' }, /to must be an RFC 3339 time/],
  [{ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }, /from must not be after to/],
  [{ tz: 'Europe/Berlin' }, /tz can only be UTC/],
  [{ from: '0', to: String(DAY * 4000), step: '1m' }, /5760000 windows, at most 10000/],
])('%j is refused in words', (asked, words) => {
  expect(plan(asked)).toMatchObject({ fault: expect.stringMatching(words) })
})

test('few large steps made of too many small windows are refused as well', () => {
  const asked = { from: '0', to: String(DAY * 100), step: '1d' }
  expect(plan(asked, [MINUTE])).toMatchObject({
    fault: expect.stringMatching(/144000 windows of 1m/),
  })
  expect(plan(asked)).toMatchObject({ size: DAY })
})

test('every plan is aligned, inside what was asked for and within its bounds', () => {
  const time = fc.integer({ min: 0, max: DAY * 10 })
  fc.assert(
    fc.property(time, time, fc.constantFrom('1m', '7m', '1h', '3h', '1d'), (a, b, step) => {
      const [from, to] = a < b ? [a, b] : [b, a]
      const got = plan({ from: String(from), to: String(to), step })
      if ('fault' in got) expect((to - from) / MINUTE).toBeGreaterThan(WINDOWS_MAX)
      else {
        expect(got.from % got.step).toBe(0)
        expect(got.to % got.step).toBe(0)
        expect(got.step % got.size).toBe(0)
        expect(got.from).toBeGreaterThanOrEqual(from)
        expect((got.to - got.from) / got.size).toBeLessThanOrEqual(KEPT_WINDOWS_MAX)
        if (got.to > got.from) expect(got.to).toBeLessThanOrEqual(to)
      }
    }),
  )
})

test('times are RFC 3339 or epoch milliseconds, and go out as RFC 3339', () => {
  expect(parseTime('2026-01-01T01:00:00+01:00')).toBe(Date.UTC(2026, 0, 1))
  expect(parseTime('1767225600000')).toBe(Date.UTC(2026, 0, 1))
  expect(parseTime('1e3')).toBeUndefined()
  expect(parseTime('')).toBeUndefined()
  expect(formatTime(Date.UTC(2026, 0, 1))).toBe('2026-01-01T00:00:00Z')
  expect(formatTime(1)).toBe('1970-01-01T00:00:00.001Z')
})
