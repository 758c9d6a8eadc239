import { expect, test } from 'vitest'
import { ResponseBuffers, SharedResponse } from './response-buffers.ts'

const MIB = 1024 * 1024

test('the memory of a response that was given back holds the next one that fits', () => {
  const buffers = new ResponseBuffers()
  const first = buffers.take(2 * MIB - 5)
  expect(first).toHaveLength(2 * MIB - 5)
  buffers.giveBack(first.subarray(100, 200))
  expect(buffers.freeBytes).toBe(2 * MIB)
  expect(buffers.take(2 * MIB + 1).buffer).not.toBe(first.buffer)
  const next = buffers.take(MIB)
  expect(next.buffer).toBe(first.buffer)
  expect(next).toHaveLength(MIB)
  expect(buffers.freeBytes).toBe(0)
})

test('memory is lent to one response at a time', () => {
  const buffers = new ResponseBuffers()
  const response = buffers.take(MIB)
  buffers.giveBack(response)
  buffers.giveBack(response)
  expect(buffers.take(MIB).buffer).not.toBe(buffers.take(MIB).buffer)
})

test('nothing is kept that was not lent, nor small, nor without a bound', () => {
  const buffers = new ResponseBuffers()
  buffers.giveBack(Buffer.allocUnsafeSlow(MIB))
  buffers.giveBack(buffers.take(1000))
  expect(buffers.freeBytes).toBe(0)
  const responses = Array.from({ length: 10 }, () => buffers.take(8 * MIB))
  for (const response of responses) buffers.giveBack(response)
  expect(buffers.freeBytes).toBe(64 * MIB)
})

test('it lets go of its memory when only small responses come', () => {
  const buffers = new ResponseBuffers()
  buffers.giveBack(buffers.take(MIB))
  for (let i = 0; i < 199; i++) buffers.take(100)
  expect(buffers.freeBytes).toBe(MIB)
  buffers.take(100)
  expect(buffers.freeBytes).toBe(0)
})

test('a response is unused when each of its readers is done, and told once', () => {
  let unused = 0
  const shared = new SharedResponse(() => unused++)
  const [first, second] = [shared.hold(), shared.hold()]
  first()
  first()
  expect(unused).toBe(0)
  second()
  second()
  expect(unused).toBe(1)
})
