import { describe, expect, it } from 'vitest'
import { parseTime } from './time-argument.ts'

describe('parseTime', () => {
  const now = Date.UTC(2025, 0, 2)

  it('takes what people write for a time', () => {
    expect(parseTime('now', now)).toBe(now)
    expect(parseTime('2025-01-01', now)).toBe(Date.UTC(2025, 0, 1))
    expect(parseTime('2025-01-01T02:00:00+02:00', now)).toBe(Date.UTC(2025, 0, 1))
    expect(parseTime('1735689600000', now)).toBe(Date.UTC(2025, 0, 1))
    expect(parseTime('24h', now)).toBe(Date.UTC(2025, 0, 1))
  })

  it('refuses the rest', () => {
    for (const text of ['', 'yesterday', '2025-02-30', '-5', '1e3', '99999999999999999']) {
      expect(parseTime(text, now)).toBeUndefined()
    }
  })
})
