import { expect, test } from 'vitest'
import { decodeFetchResponse } from './fetch-response.ts'
import { int64At } from './flexible-reader.ts'

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

const records = Buffer.from('records')
const none = Buffer.from([0])
const topicId = Buffer.alloc(16, 7)
const response = Buffer.concat([
  ...[none, int32(7), int16(0), int32(0), Buffer.from([2]), topicId, Buffer.from([3])],
  ...[int32(3), int16(0), int64(2 ** 40), int64(2 ** 40 - 1), int64(5)],
  ...[Buffer.from([2]), int64(4_000_000_001), int64(9), none, int32(-1)],
  ...[Buffer.from([records.length + 1]), records, none],
  ...[int32(4), int16(1), int64(-1), int64(-1), int64(-1), none, int32(-1), none, none],
  ...[none, none],
])

test('a response gives the numbers of each partition and a view of its records', () => {
  const decoded = decodeFetchResponse(response)
  expect(decoded).toMatchObject({ throttleMs: 7, errorCode: 0 })
  const [first, second] = decoded.partitions
  expect(first).toMatchObject({
    partition: 3,
    errorCode: 0,
    highWatermark: 2 ** 40,
    lastStableOffset: 2 ** 40 - 1,
    logStartOffset: 5,
    aborted: [{ producerId: 4_000_000_001, firstOffset: 9 }],
  })
  expect(first?.records.toString()).toBe('records')
  expect(first?.records.buffer).toBe(response.buffer)
  expect(second).toMatchObject({ partition: 4, errorCode: 1, aborted: [] })
  expect(second?.records).toHaveLength(0)
})

test('a response that is cut short is an error, not a hang', () => {
  for (let length = 0; length < 60; length++) {
    expect(() => decodeFetchResponse(response.subarray(0, length))).toThrow(RangeError)
  }
})

test('64-bit numbers are exact up to 2^53, negative ones too', () => {
  for (const value of [0, 1, -1, 2 ** 32, 2 ** 52 + 1, -(2 ** 40) - 1, Number.MAX_SAFE_INTEGER]) {
    expect(int64At(int64(value), 0)).toBe(value)
  }
})
