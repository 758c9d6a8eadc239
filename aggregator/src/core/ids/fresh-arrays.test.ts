import { expect, test } from 'vitest'
import { FreshArrays } from './fresh-arrays.ts'

test('an array that was given is taken again by who needs that length', () => {
  const arrays = new FreshArrays()
  const given = arrays.take(8192)
  arrays.give(given)
  expect(arrays.byteLength).toBe(given.byteLength)
  expect(arrays.take(4096)).not.toBe(given)
  expect(arrays.take(8192)).toBe(given)
  expect(arrays.byteLength).toBe(0)
  expect(arrays.take(8192)).not.toBe(given)
})

test('what waits is bounded, and small arrays do not wait', () => {
  const arrays = new FreshArrays()
  arrays.give(new Int32Array(1024))
  expect(arrays.byteLength).toBe(0)
  for (let i = 0; i < 40; i++) arrays.give(new Int32Array(2 ** 18))
  expect(arrays.byteLength).toBe(16 * 2 ** 20)
})
