import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { FuseFilter } from './fuse-filter.ts'

/** Two words an id, sorted, with the same first bits. */
function idsOf(count: number): Int32Array {
  const bytes = randomBytes(8 * count)
  const ids = Array.from({ length: count }, (_, i) => [
    (bytes.readInt32LE(8 * i) >>> 7) | 0x56000000,
    bytes.readInt32LE(8 * i + 4),
  ]).toSorted(([a = 0], [b = 0]) => a - b)
  return Int32Array.from(ids.flat())
}

function countFound(filter: FuseFilter, ids: Int32Array): number {
  let found = 0
  for (let i = 0; i < ids.length; i += 2) if (filter.mayHave(ids[i]!, ids[i + 1]!)) found++
  return found
}

test('every id that was put in is found, of others few, for at most 2 bytes an id', () => {
  const others = idsOf(200_000)
  for (const count of [1, 2, 3, 10, 100, 1000, 5000, 24_577, 49_152]) {
    const ids = idsOf(count)
    const filter = new FuseFilter(ids, count)
    expect(countFound(filter, ids)).toBe(count)
    if (count < 1000) continue
    expect(filter.byteLength).toBeLessThanOrEqual(2 * count + 8)
    expect(countFound(filter, others)).toBeLessThan(others.length / 2 / 1000)
  }
})

test('nothing is in an empty filter', () => {
  expect(countFound(new FuseFilter(new Int32Array(0), 0), idsOf(1000))).toBe(0)
})

test('ids that are alike in both words are found', () => {
  const ids = Int32Array.from(Array.from({ length: 300 }, (_, i) => [7, i % 3]).flat())
  const filter = new FuseFilter(ids, 300)
  expect(countFound(filter, ids)).toBe(300)
})
