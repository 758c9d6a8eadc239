import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeySampler, SAMPLE_EVERY } from './key-sampler.ts'

function rowsOf(series: readonly number[]) {
  return {
    count: series.length,
    reason: new Uint8Array(series.length),
    counter: new Int32Array(series.length),
    slot: Int32Array.from(series),
  }
}

test('a key with more than a 33rd of the samples is found, its count low by less than that', () => {
  const share = fc.integer({ min: 4, max: 100 })
  fc.assert(
    fc.property(share, fc.integer({ min: 500, max: 3000 }), fc.nat(), (percent, total, seed) => {
      const sampler = new KeySampler()
      let hot = 0
      let state = seed | 1
      for (let i = 0; i < total; i++) {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
        const isHot = (i * 61) % 100 < percent
        if (isHot) hot++
        // A batch of SAMPLE_EVERY events, of which the sampler looks at one.
        sampler.take(
          rowsOf(Array.from({ length: SAMPLE_EVERY }, () => (isHot ? 7 : 1000 + (state >> 8)))),
        )
      }
      const sample = sampler.drain()
      expect(sample.total).toBe(total)
      const found = sample.keys.find(({ slot }) => slot === 7)?.count ?? 0
      expect(found).toBeLessThanOrEqual(hot)
      expect(found).toBeGreaterThanOrEqual(hot - total / 33)
      expect(sample.keys.length).toBeLessThanOrEqual(32)
    }),
    { numRuns: 50 },
  )
})

test('one event in 61 is looked at, however they come in batches', () => {
  const sampler = new KeySampler()
  for (let i = 0; i < 610; i++) sampler.take(rowsOf([i % 2]))
  expect(sampler.drain().total).toBe(10)
  sampler.take(rowsOf(Array.from({ length: 6100 }, () => 3)))
  expect(sampler.drain()).toEqual({ total: 100, keys: [{ counter: 0, slot: 3, count: 100 }] })
  expect(sampler.drain()).toEqual({ total: 0, keys: [] })
})

test('events that are not valid count in the total alone', () => {
  const sampler = new KeySampler()
  sampler.take({ ...rowsOf([1, 1]), reason: Uint8Array.of(5, 0) })
  expect(sampler.drain()).toEqual({ total: 1, keys: [] })
})
