import { parseContracts } from '@countersink/shared/contracts'
import { expect, test } from 'vitest'
import { CounterStates } from './core/counter-states.ts'
import { Dirt } from './core/dirt.ts'
import { hashKeyOf } from './core/keyed-hash.ts'
import { PagedSums } from './core/paged-sums.ts'
import { duePages } from './due-pages.ts'
import { LIMITS } from './limits.ts'

/** Dirt of `windows` one-minute windows, `slots` sums in each; one layer after the other. */
function dirtOf(windows: number, slots: number): Dirt {
  const counters = new CounterStates(
    hashKeyOf(Buffer.from('0123456789abcdef')),
    parseContracts('defaults: { windows: [1m] }'),
  )
  counters.restore('views', 0)
  const dirt = new Dirt()
  for (let window = 0; window < windows; window++) {
    const layer = new PagedSums()
    const family = layer.family(0, 60_000, window * 60_000)
    for (let slot = 0; slot < slots; slot++) {
      layer.add(layer.block(family, slot >> 7, window), slot & 127, 1)
    }
    dirt.absorb(layer, window, counters.list)
  }
  return dirt
}

test('behind, a commit writes every dirty page', () => {
  const dirt = dirtOf(300, 10)
  expect(duePages(dirt, 'behind')).toHaveLength(301)
})

test('live, it writes a few, the oldest first, more of them when there are many', () => {
  expect(duePages(dirtOf(1, 1), 'live')).toHaveLength(2)
  const few = dirtOf(100, 1)
  expect(duePages(few, 'live')).toEqual(few.oldest(LIMITS.livePagesMin))
  const many = dirtOf(1000, 1)
  const turn = Math.ceil(many.sums.size / LIMITS.livePagesTurns)
  expect(duePages(many, 'live')).toEqual(many.oldest(turn))
  expect(duePages(dirtOf(20_000, 1), 'live')).toHaveLength(LIMITS.livePagesMax)
})

test('idle, it writes many at a time', () => {
  expect(duePages(dirtOf(LIMITS.idlePagesMax + 100, 1), 'idle')).toHaveLength(LIMITS.idlePagesMax)
  expect(duePages(dirtOf(10, 1), 'idle')).toHaveLength(11)
})

test('I12: above the bound on dirt it writes as many as bring it below', () => {
  const windows = Math.ceil((LIMITS.dirtEntriesMax * 1.2) / 128)
  const dirt = dirtOf(windows, 128)
  expect(dirt.entries).toBeGreaterThan(LIMITS.dirtEntriesMax)
  for (const block of duePages(dirt, 'live')) dirt.clean(block, windows)
  expect(dirt.entries).toBeLessThanOrEqual(LIMITS.dirtEntriesMax)
  expect(dirt.entries).toBeGreaterThan(LIMITS.dirtEntriesMax - 256)
})

test('without dirt there is nothing to write', () => {
  for (const mode of ['live', 'behind', 'idle'] as const) {
    expect(duePages(new Dirt(), mode)).toEqual([])
  }
})
