/**
 * Sums are kept in pages of neighbouring slots. A sum is exact at any size: what fits int64 is
 * itself, anything beyond is its low 64 bits with a carry, so that
 * `sum = total + carry * 2^64`. Carries are stored only where one is not zero.
 */
export const PAGE_SLOTS = 512
export const PAGE_SHIFT = 9

export type Limbs = { low: bigint; carry: bigint }

export function toLimbs(sum: bigint): Limbs {
  const low = BigInt.asIntN(64, sum)
  return { low, carry: (sum - low) >> 64n }
}

export function fromLimbs(low: bigint, carry: bigint): bigint {
  return low + (carry << 64n)
}
