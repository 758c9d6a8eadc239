import { expect, test } from 'vitest'
import { Dirt } from './dirt.ts'

const MINUTE_MS = 60_000

function cachedSizes(dirt: Dirt): number[] {
  const sizes: number[] = []
  for (let block = dirt.cache.oldest; block >= 0; block = dirt.cache.after(block)) {
    sizes.push(dirt.cache.familyOf(block).size)
  }
  return sizes
}

function fill(totals: number, windows: number): Dirt {
  const dirt = new Dirt()
  for (let page = 0; page < totals; page++) {
    dirt.addPage({ counter: 0, size: 0, start: 0, page }, 1)
  }
  for (let i = 0; i < windows; i++) {
    dirt.addPage({ counter: 0, size: MINUTE_MS, start: i * MINUTE_MS, page: 0 }, 1)
  }
  return dirt
}

test('windows make room before totals, the ones unused for longest first', () => {
  const dirt = fill(3, 5)
  dirt.evict(5)
  expect(cachedSizes(dirt).toSorted((a, b) => a - b)).toEqual([0, 0, 0, MINUTE_MS, MINUTE_MS])
  expect(dirt.cache.find(0, MINUTE_MS, 2 * MINUTE_MS, 0)).toBe(-1)
  expect(dirt.cache.find(0, MINUTE_MS, 3 * MINUTE_MS, 0)).toBeGreaterThanOrEqual(0)
})

test('totals make room too when there are more of them than may be cached', () => {
  const dirt = fill(9, 2)
  dirt.evict(4)
  expect(cachedSizes(dirt)).toEqual([0, 0, 0, 0])
})
