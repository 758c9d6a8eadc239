import { expect, test } from 'vitest'
import { canonicalDims, SeriesLookups } from './series-lookups.ts'

const SERIES = { counter: 1, key: 'k', dims: '{}' }
const A = { partition: 0, slot: 5 }
const B = { partition: 3, slot: 0 }

test('I8: a slot dealt while a look-up is under way, or after it, is in it', () => {
  const lookups = new SeriesLookups(100_000)
  const lookup = lookups.begin(SERIES)
  expect(lookup.found).toBe(false)
  lookups.dealt(SERIES, B)
  lookups.complete(lookup, [A])
  expect(lookup).toMatchObject({ found: true, slots: [B, A] })
  lookups.dealt(SERIES, { partition: 4, slot: 9 })
  expect(lookups.begin(SERIES).slots).toHaveLength(3)
})

test('a slot is never counted twice, however often it is told', () => {
  const lookups = new SeriesLookups(100_000)
  const lookup = lookups.begin(SERIES)
  lookups.dealt(SERIES, A)
  lookups.complete(lookup, [A])
  lookups.dealt(SERIES, A)
  expect(lookup.slots).toEqual([A])
})

test('two requests share one look-up, and the second need not ask', () => {
  const lookups = new SeriesLookups(100_000)
  const [one, two] = [lookups.begin(SERIES), lookups.begin(SERIES)]
  expect(two).toBe(one)
  lookups.complete(one, [A])
  lookups.complete(two, [A])
  expect(lookups.begin(SERIES)).toMatchObject({ found: true, slots: [A], attended: true })
})

test('a look-up that is forgotten or pushed out says so to whoever still holds it', () => {
  const lookups = new SeriesLookups(100_000)
  const forgotten = lookups.begin(SERIES)
  lookups.forget()
  expect(forgotten.attended).toBe(false)
  lookups.complete(forgotten, [A])
  expect(lookups.begin(SERIES).found).toBe(false)

  const small = new SeriesLookups(600)
  const first = small.begin(SERIES)
  for (const key of ['x', 'y', 'z']) small.begin({ ...SERIES, key })
  expect(first.attended).toBe(false)
})

test('equal dims are one text, whatever their order and names', () => {
  expect(
    canonicalDims([
      ['b', '1'],
      ['a', '2'],
    ]),
  ).toBe('{"a":"2","b":"1"}')
  expect(canonicalDims([['__proto__', 'x']])).toBe('{"__proto__":"x"}')
  expect(canonicalDims([])).toBe('{}')
})
