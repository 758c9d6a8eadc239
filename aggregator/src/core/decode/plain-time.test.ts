import { parseRfc3339 } from '@countersink/shared/event'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readPlainTime } from './plain-time.ts'

/** -1 when it is handed over. */
function read(text: string): number {
  const bytes = Buffer.from(`"${text}"`)
  const fields = { at: -1 }
  return readPlainTime(bytes, 1, bytes.length - 1, fields) ? fields.at : -1
}

/** From 1970 to 9999. */
const DAYS = 2_932_897

test('every day is that of the calendar', () => {
  // A Date's text is the slow part, so most days of far centuries are left out.
  const misread: string[] = []
  for (let day = 0; day < DAYS; day += day < 80_000 ? 1 : 13) {
    const ms = day * 86_400_000
    const text = new Date(ms).toISOString()
    if (read(text) !== ms) misread.push(text)
  }
  expect(misread).toEqual([])
  expect(read('9999-12-31T00:00:00Z')).toBe((DAYS - 1) * 86_400_000)
})

test.each([
  ['2026-01-31T23:59:59Z', Date.UTC(2026, 0, 31, 23, 59, 59)],
  ['2026-01-31T23:59:59.1Z', Date.UTC(2026, 0, 31, 23, 59, 59, 100)],
  ['2026-01-31T23:59:59.123999999Z', Date.UTC(2026, 0, 31, 23, 59, 59, 123)],
  ['2024-02-29T00:30:00+01:00', Date.UTC(2024, 1, 28, 23, 30)],
  ['2024-02-29T23:30:00-01:45', Date.UTC(2024, 2, 1, 1, 15)],
])('%s', (text, ms) => expect(read(text)).toBe(ms))

test('any text is read as the complete parser reads it, or handed over', () => {
  const part = (max: number) =>
    fc.integer({ min: 0, max }).map((n) => String(n).padStart(max > 99 ? 4 : 2, '0'))
  const zone = fc.oneof(
    fc.constantFrom('Z', '', 'z', '+00:00', '-23:59', '+24:00', '+01:60', '+0100'),
    fc.tuple(fc.constantFrom('+', '-'), part(25), part(61)).map(([s, h, m]) => `${s}${h}:${m}`),
  )
  const fraction = fc.oneof(fc.constant(''), fc.stringMatching(/^\.[0-9]{0,11}$/))
  const time = fc
    .tuple(part(9999), part(13), part(32), part(25), part(61), part(61), fraction, zone)
    .map(([y, mo, d, h, mi, s, f, z]) => `${y}-${mo}-${d}T${h}:${mi}:${s}${f}${z}`)
  const near = fc
    .tuple(time, fc.nat(24), fc.constantFrom('', 'T', '-', ':', '0', ' ', '/', 'é'))
    .map(([text, at, c]) => text.slice(0, at) + c + text.slice(at + 1))
  let valid = 0
  fc.assert(
    fc.property(fc.oneof(time, near), (text) => {
      const ms = read(text)
      if (ms < 0) return true
      valid++
      return ms === parseRfc3339(text)
    }),
    { numRuns: 20_000 },
  )
  expect(valid).toBeGreaterThan(1000)
})
