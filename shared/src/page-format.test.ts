import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromLimbs, PAGE_SHIFT, PAGE_SLOTS, toLimbs } from './page-format.ts'

test('the shift is that of the slots', () => {
  expect(1 << PAGE_SHIFT).toBe(PAGE_SLOTS)
})

test.each([
  [0n, 0n, 0n],
  [-1n, -1n, 0n],
  [2n ** 63n - 1n, 2n ** 63n - 1n, 0n],
  [-(2n ** 63n), -(2n ** 63n), 0n],
  [2n ** 63n, -(2n ** 63n), 1n],
  [-(2n ** 63n) - 1n, 2n ** 63n - 1n, -1n],
  [2n ** 64n, 0n, 1n],
  [-(2n ** 64n), 0n, -1n],
])('%s is %s with carry %s', (sum, low, carry) => {
  expect(toLimbs(sum)).toEqual({ low, carry })
})

test('any sum survives, its low limb fits int64, and what fits int64 has no carry', () => {
  const sums = fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n })
  fc.assert(
    fc.property(sums, (sum) => {
      const { low, carry } = toLimbs(sum)
      expect(fromLimbs(low, carry)).toBe(sum)
      expect(BigInt.asIntN(64, low)).toBe(low)
      expect(carry === 0n).toBe(BigInt.asIntN(64, sum) === sum)
    }),
  )
})

test('limbs can be added apart: the sum of limbs is the limbs of the sum', () => {
  const sums = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n })
  fc.assert(
    fc.property(fc.array(sums, { maxLength: 20 }), (all) => {
      const limbs = all.map(toLimbs)
      const low = limbs.reduce((sum, limb) => sum + limb.low, 0n)
      const carry = limbs.reduce((sum, limb) => sum + limb.carry, 0n)
      expect(fromLimbs(low, carry)).toBe(all.reduce((a, b) => a + b, 0n))
    }),
  )
})
