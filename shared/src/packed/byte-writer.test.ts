import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { VARINT_BYTES_MAX } from './packed-format.ts'

const edges = Array.from({ length: 54 }, (_, bits) => [2 ** bits - 1, 2 ** bits, 2 ** bits + 1])
  .flat()
  .filter(Number.isSafeInteger)
const number = fc.oneof(fc.constantFrom(...edges), fc.maxSafeNat())
const signed = fc.tuple(number, fc.boolean()).map(([n, isNegative]) => (isNegative ? 0 - n : n))

/** What was written, in an array of its own. */
function bytesOf(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter()
  write(writer)
  return Buffer.from(writer.bytes.subarray(0, writer.length))
}

/** The form of the grammar, in numbers without bounds. */
function leb128(value: bigint): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return [...bytes, Number(rest)]
}

test('a varint is LEB128, of any safe integer', () => {
  fc.assert(
    fc.property(number, (n) => {
      const bytes = bytesOf((writer) => writer.varint(n))
      expect([...bytes]).toEqual(leb128(BigInt(n)))
      const reader = new ByteReader(bytes, 0)
      expect([reader.varint(), reader.failed, reader.isAtEnd]).toEqual([n, false, true])
    }),
  )
})

test('zigzag is exact for any safe integer', () => {
  fc.assert(
    fc.property(signed, (n) => {
      const bytes = bytesOf((writer) => writer.zigzag(n))
      const big = BigInt(n)
      expect([...bytes]).toEqual(leb128(big >= 0n ? 2n * big : -2n * big - 1n))
      expect(bytes.length).toBeLessThanOrEqual(VARINT_BYTES_MAX)
      const reader = new ByteReader(bytes, 0)
      expect([reader.zigzag(), reader.failed, reader.isAtEnd]).toEqual([n, false, true])
    }),
  )
})

test('numbers that no safe integer has are failures, never rounded', () => {
  const unsafe = fc.bigInt({ min: 2n ** 54n - 2n, max: 2n ** 56n - 1n })
  fc.assert(
    fc.property(unsafe, (value) => {
      const bytes = Buffer.from(leb128(value))
      const readers = [new ByteReader(bytes, 0), new ByteReader(bytes, 0)] as const
      readers[0].varint()
      readers[1].zigzag()
      expect(readers.map(({ failed }) => failed)).toEqual([true, value !== 2n ** 54n - 2n])
    }),
  )
  const least = new ByteReader(Buffer.from(leb128(2n ** 54n - 1n)), 0)
  expect([least.zigzag(), least.failed]).toEqual([0, true])
})

test('texts of any kind and length', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 300 })), (texts) => {
      const bytes = bytesOf((writer) => {
        for (const text of texts) writer.text(text)
      })
      const reader = new ByteReader(bytes, 0)
      expect(texts.map(() => reader.text())).toEqual(texts)
      expect([reader.failed, reader.isAtEnd]).toEqual([false, true])
    }),
  )
})

test('what is not there fails once and for all', () => {
  const reader = new ByteReader(Buffer.from([5, 1, 2]), 0)
  expect(reader.text()).toBe('')
  expect(reader.failed).toBe(true)
  expect([reader.byte(), reader.varint(), reader.zigzag(), reader.bytes(0).length]).toEqual([
    0, 0, 0, 0,
  ])
})

test('room that is there already is not made again', () => {
  const writer = new ByteWriter()
  for (let i = 0; i < 1000; i++) {
    writer.reserve(25)
    writer.length += 25
  }
  expect(writer.bytes.length).toBeLessThan(4 * writer.length)
})
