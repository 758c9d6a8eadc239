import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PageKey } from './dirt.ts'
import { StoredPages } from './stored-pages.ts'

const MINUTE_MS = 60_000
const page = (start: number, number = 0, counter = 0): PageKey => {
  return { counter, size: MINUTE_MS, start: start * MINUTE_MS, page: number }
}
const total = (number: number, counter = 0): PageKey => {
  return { counter, size: 0, start: 0, page: number }
}

test('of a counter that is met now nothing is stored but what is written', () => {
  const stored = new StoredPages()
  expect(stored.mayHave(page(3))).toBe(false)
  expect(stored.mayHave(total(3))).toBe(false)
  stored.add(page(3, 70))
  stored.add(total(3))
  expect(stored.mayHave(page(3, 70))).toBe(true)
  expect(stored.mayHave(page(3, 71))).toBe(false)
  expect(stored.mayHave(page(4, 70))).toBe(false)
  expect(stored.mayHave(page(3, 70, 1))).toBe(false)
  expect(stored.mayHave(total(3))).toBe(true)
  expect(stored.mayHave(total(2))).toBe(false)
})

test('of a counter that was loaded any total may be stored, and windows that its clock has seen', () => {
  const stored = new StoredPages()
  stored.loaded(0, 5.5 * MINUTE_MS)
  expect(stored.mayHave(total(1000))).toBe(true)
  expect(stored.mayHave(page(4))).toBe(true)
  expect(stored.mayHave(page(5))).toBe(true)
  expect(stored.mayHave(page(6))).toBe(false)
  stored.loaded(1, 5 * MINUTE_MS)
  expect(stored.mayHave(page(5, 0, 1))).toBe(true)
  expect(stored.mayHave(page(6, 0, 1))).toBe(false)
})

test('whatever is written or was there before is never taken for new', () => {
  const key = fc.record({
    counter: fc.nat(2),
    size: fc.constantFrom(0, 1000, 60_000),
    start: fc.nat(700),
    page: fc.oneof(fc.nat(3), fc.nat(5000)),
  })
  fc.assert(
    fc.property(
      fc.array(key, { maxLength: 1500 }),
      fc.nat(2000),
      fc.nat(),
      (keys, clock, loadAt) => {
        const keyOf = (one: PageKey): PageKey => {
          return { ...one, start: one.size === 0 ? 0 : one.start * one.size }
        }
        const before = keys.slice(0, loadAt % (keys.length + 1)).map(keyOf)
        const stored = new StoredPages()
        for (const counter of [0, 1]) {
          const seen = before.filter((one) => one.counter === counter).map(({ start }) => start)
          if (seen.length > 0) stored.loaded(counter, Math.max(...seen) + clock)
        }
        const since = keys.slice(before.length).map(keyOf)
        for (const one of since) stored.add(one)
        const known = before.filter(({ counter }) => counter !== 2)
        for (const one of [...known, ...since]) expect(stored.mayHave(one)).toBe(true)
      },
    ),
    { numRuns: 200 },
  )
})
