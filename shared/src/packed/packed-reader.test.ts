import fc from 'fast-check'
import { expect, test } from 'vitest'
import { INVALID_REASONS } from '../reasons.ts'
import { parsePacked } from './packed-reader.ts'
import { anyPackedValue } from './packed-samples.ts'

test('any bytes give events or a reason', () => {
  const met = new Set<string>()
  fc.assert(
    fc.property(anyPackedValue, (value) => {
      const parsed = parsePacked(value)
      const all = parsed.ok ? parsed.events : [parsed]
      met.add(parsed.ok ? 'events' : parsed.reason)
      expect(all.length).toBeGreaterThan(0)
      expect(all.every((one) => one.ok || INVALID_REASONS.includes(one.reason))).toBe(true)
    }),
    { numRuns: 5000 },
  )
  expect([...met]).toEqual(expect.arrayContaining(['events', 'packed-malformed']))
})
