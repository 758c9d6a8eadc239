import { describe, expect, test } from 'vitest'
import {
  int4ArrayParameter,
  int8ArrayParameter,
  bigInt8ArrayParameter,
  textArrayParameter,
  uuidArrayParameter,
} from './binary-arrays.ts'
import { CopyWriter } from './copy-binary.ts'

const HEADER = '5047434f50590aff0d0a00' + '00000000' + '00000000'

/** The bytes between the header and the trailer. */
function body(write: (writer: CopyWriter) => void): string {
  const writer = new CopyWriter()
  writer.begin()
  write(writer)
  const hex = writer.finish().toString('hex')
  expect(hex.slice(0, HEADER.length)).toBe(HEADER)
  expect(hex.slice(-4)).toBe('ffff')
  return hex.slice(HEADER.length, -4)
}

describe('CopyWriter writes', () => {
  test('an empty file', () => expect(body(() => {})).toBe(''))

  test('a row of each scalar', () => {
    const bytes = body((writer) => {
      writer.row(8)
      writer.int2(-2)
      writer.int4(258)
      writer.int8(-1)
      writer.bigInt8(-(2n ** 63n))
      writer.text('é€')
      writer.bytea(Buffer.from([9, 8, 7, 6]), 1, 3)
      writer.uuid('00112233-4455-6677-8899-AABBCCDDEEFF')
      writer.null()
    })
    expect(bytes).toBe(
      '0008' +
        '00000002fffe' +
        '0000000400000102' +
        '00000008ffffffffffffffff' +
        '000000088000000000000000' +
        '00000005c3a9e282ac' +
        '000000020807' +
        '0000001000112233445566778899aabbccddeeff' +
        'ffffffff',
    )
  })

  test('jsonb with its version', () => {
    expect(body((writer) => writer.jsonb('{}'))).toBe('0000000301' + '7b7d')
  })

  test('parts of arrays with element type, count and lower bound', () => {
    expect(body((writer) => writer.int2Array(Int16Array.of(7, -1, 7), 1, 2))).toBe(
      '0000001a' + '00000001' + '00000000' + '00000015' + '00000001' + '00000001' + '00000002ffff',
    )
    expect(body((writer) => writer.int4Array(Int32Array.of(7, -1, 7), 1, 2))).toBe(
      '0000001c' + '000000010000000000000017' + '0000000100000001' + '00000004ffffffff',
    )
    expect(body((writer) => writer.int8Array(Float64Array.of(7, -2, 7), 1, 2))).toBe(
      '00000020' + '000000010000000000000014' + '0000000100000001' + '00000008fffffffffffffffe',
    )
    expect(body((writer) => writer.bigInt8Array(BigInt64Array.of(7n, -2n, 7n), 1, 2))).toBe(
      '00000020' + '000000010000000000000014' + '0000000100000001' + '00000008fffffffffffffffe',
    )
  })

  test('an array without elements as one without dimensions', () => {
    expect(body((writer) => writer.int8Array(new Float64Array(3), 2, 2))).toBe(
      '0000000c' + '000000000000000000000014',
    )
  })

  test('what does not fit the first buffer, and starts over', () => {
    const writer = new CopyWriter()
    const long = 'x'.repeat(100_000)
    for (let round = 0; round < 2; round++) {
      writer.begin()
      for (let i = 0; i < 10; i++) {
        writer.row(1)
        writer.text(long)
      }
      expect(writer.rows).toBe(10)
      const file = writer.finish()
      expect(file).toHaveLength(HEADER.length / 2 + 10 * (2 + 4 + long.length) + 2)
      expect(file.includes('x'.repeat(1000))).toBe(true)
    }
  })
})

test('int8 halves hold every safe integer', () => {
  const values = [
    0,
    -0,
    1,
    -1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32),
    -(2 ** 32) - 1,
  ]
  for (let bit = 0; bit < 53; bit++) values.push(2 ** bit, -(2 ** bit), 2 ** bit - 1, 1 - 2 ** bit)
  values.push(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER)
  const exact = BigInt64Array.from(values.map((value) => BigInt(value)))
  expect(int8ArrayParameter(Float64Array.from(values))).toEqual(bigInt8ArrayParameter(exact))
})

test('parameters are the arrays without a length before them', () => {
  expect(int4ArrayParameter(Int32Array.of(5)).toString('hex')).toBe(
    '000000010000000000000017' + '0000000100000001' + '0000000400000005',
  )
  expect(textArrayParameter(['', 'é']).toString('hex')).toBe(
    '000000010000000000000019' + '0000000200000001' + '00000000' + '00000002c3a9',
  )
  expect(uuidArrayParameter([]).toString('hex')).toBe('000000000000000000000b86')
  expect(() => uuidArrayParameter(['0011'])).toThrow(RangeError)
})
