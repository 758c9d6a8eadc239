import { expect, test } from 'vitest'
import {
  bigInt8ArrayParameter,
  Int4Column,
  int4ArrayParameter,
  int8ArrayParameter,
} from './binary-arrays.ts'

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

test('a column is the array of what was pushed since it was begun, however often that was', () => {
  const column = new Int4Column()
  for (const count of [0, 3, 100_000, 20_000, 1, 0]) {
    column.begin()
    for (let i = 0; i < count; i++) {
      if (i % 512 === 0) column.reserve(512)
      column.push(i - 5)
    }
    const values = Int32Array.from({ length: count }, (_, i) => i - 5)
    expect(column.parameter().equals(int4ArrayParameter(values))).toBe(true)
    expect(column.parameter().equals(int4ArrayParameter(values))).toBe(true)
  }
})

test('I12: a column lets go of room that is much more than it needs', () => {
  const column = new Int4Column()
  const fill = (count: number): number => {
    column.begin()
    column.reserve(count)
    for (let i = 0; i < count; i++) column.push(i)
    return column.parameter().buffer.byteLength
  }
  expect(fill(1_000_000)).toBeGreaterThan(8_000_000)
  expect(fill(900_000)).toBeLessThan(8_100_000)
  fill(10)
  expect(fill(10)).toBeLessThan(10_000)
})
