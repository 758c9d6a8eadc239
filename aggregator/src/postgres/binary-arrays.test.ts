import { expect, test } from 'vitest'
import { bigInt8ArrayParameter, int4ArrayParameter, int8ArrayParameter } from './binary-arrays.ts'

test('an empty array has no dimension', () => {
  const hex = int4ArrayParameter(new Int32Array(3), 1, 1).toString('hex')
  expect(hex).toBe('00000000' + '00000000' + '00000017')
})

test('a part of an array: header, then each element after its length', () => {
  const hex = int4ArrayParameter(Int32Array.of(7, 1, -2, 7), 1, 3).toString('hex')
  const header = '00000001' + '00000000' + '00000017' + '00000002' + '00000001'
  expect(hex).toBe(header + '00000004' + '00000001' + '00000004' + 'fffffffe')
})

test('int8 halves hold every safe integer', () => {
  const edges = [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, -(2 ** 32), -(2 ** 32) - 1]
  const values = [...edges, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 123_456_789_012_345]
  const bytes = int8ArrayParameter(Float64Array.from(values))
  expect(values.map((_, i) => bytes.readBigInt64BE(20 + 12 * i + 4))).toEqual(values.map(BigInt))
  expect(bigInt8ArrayParameter(values.map(BigInt))).toEqual(bytes)
})
