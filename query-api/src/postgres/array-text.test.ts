import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseInt32s, parseInt64s, parseNumbers } from './array-text.ts'

test('arrays of any numbers come back from their text', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
      expect([...parseInt64s(`{${values.join(',')}}`)]).toEqual(values)
    }),
  )
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.array(fc.maxSafeInteger()), (ints, offsets) => {
      expect([...parseInt32s(`{${ints.join(',')}}`)]).toEqual(ints.map((value) => value + 0))
      expect(parseNumbers(`{${offsets.join(',')}}`)).toEqual(offsets)
    }),
  )
})

test('a shorter array is filled up with zeros', () => {
  expect([...parseInt64s('{5,-6}', 4)]).toEqual([5n, -6n, 0n, 0n])
  expect([...parseInt64s('{}', 2)]).toEqual([0n, 0n])
})
