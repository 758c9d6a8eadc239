import { parseContracts } from '@countersink/shared/contracts'
import { PAGE_SHIFT, PAGE_SLOTS } from '@countersink/shared/page-format'
import { expect, test } from 'vitest'
import { CounterStates } from './core/series/counter-states.ts'
import { Dirt } from './core/sums/dirt.ts'
import { hashKeyOf } from './core/keyed-hash.ts'
import { PagedSums } from './core/sums/paged-sums.ts'
import { duePages } from './due-pages.ts'
import { LIMITS } from './limits.ts'

/** A commit of one record, the log's first. */
const LIVE = { first: 0, next: 1 }

type Dirty = { dirt: Dirt; counters: CounterStates }

/**
 * `windows` one-minute windows, `slots` sums in each; one layer after the other, window n being of
 * offset n. The clock stands in the last window.
 */
function dirtOf(windows: number, slots: number): Dirty {
  const counters = new CounterStates(
    hashKeyOf(Buffer.from('0123456789abcdef')),
    parseContracts('defaults: { windows: [1m] }'),
  )
  counters.restore('views', (windows - 1) * 60_000)
  const dirt = new Dirt()
  const layer = new PagedSums(dirt.sums.pool)
  for (let window = 0; window < windows; window++) {
    const family = layer.family(0, 60_000, window * 60_000)
    for (let slot = 0; slot < slots; slot++) {
      layer.add(layer.block(family, slot >> PAGE_SHIFT, window), slot % PAGE_SLOTS, 1)
    }
    dirt.absorb(layer, window, counters.list)
  }
  return { dirt, counters }
}

test('a flush writes every dirty page', () => {
  expect(duePages(dirtOf(300, 10), 'flush', LIVE)).toHaveLength(301)
})

test('behind, a page that will be filled further waits, for one commit', () => {
  const dirty = dirtOf(300, 10)
  const { sums } = dirty.dirt
  const waiting = (first: number): { size: number; start: number }[] => {
    const due = new Set(duePages(dirty, 'behind', { first, next: first + 1 }))
    return dirty.dirt.oldest(1000).flatMap((block) => (due.has(block) ? [] : sums.familyOf(block)))
  }
  expect(waiting(0)).toMatchObject([{ size: 0 }, { size: 60_000, start: 299 * 60_000 }])
  expect(waiting(299)).toMatchObject([{ size: 60_000, start: 299 * 60_000 }])
  expect(waiting(300)).toEqual([])
})

test('I12: behind, no more may wait than the bound on dirt', () => {
  const pages = Math.ceil(LIMITS.dirtEntriesMax / PAGE_SLOTS)
  const dirty = dirtOf(1, (pages + 10) * PAGE_SLOTS)
  for (const block of duePages(dirty, 'behind', LIVE)) dirty.dirt.clean(block, 1)
  expect(dirty.dirt.entries).toBe(LIMITS.dirtEntriesMax)
})

test('live, it writes a few, the oldest first, more of them when there are many', () => {
  expect(duePages(dirtOf(1, 1), 'live', LIVE)).toHaveLength(1)
  const few = dirtOf(50, 1)
  expect(duePages(few, 'live', LIVE)).toEqual(few.dirt.oldest(1))
  const many = dirtOf(1000, 1)
  const turn = Math.ceil(many.dirt.sums.size / LIMITS.livePagesTurns)
  expect(duePages(many, 'live', LIVE)).toEqual(many.dirt.oldest(turn))
  expect(duePages(dirtOf(20_000, 1), 'live', LIVE)).toHaveLength(LIMITS.livePagesMax)
})

test('live, a silent partition writes more, since it has its turn less often', () => {
  const silent = { first: 1, next: 1 }
  expect(duePages(dirtOf(1, 1), 'live', silent)).toHaveLength(1)
  const many = dirtOf(300, 1)
  const turn = Math.ceil(many.dirt.sums.size / LIMITS.quietPagesTurns)
  expect(duePages(many, 'live', silent)).toEqual(many.dirt.oldest(turn))
  expect(duePages(dirtOf(1000, 1), 'live', silent)).toHaveLength(LIMITS.livePagesMax)
})

test('idle, it writes many at a time', () => {
  expect(duePages(dirtOf(LIMITS.idlePagesMax + 100, 1), 'idle', LIVE)).toHaveLength(
    LIMITS.idlePagesMax,
  )
  expect(duePages(dirtOf(10, 1), 'idle', LIVE)).toHaveLength(11)
})

test('I12: above the bound on dirt it writes as many as bring it below', () => {
  const windows = Math.ceil((LIMITS.dirtEntriesMax * 1.2) / PAGE_SLOTS)
  const dirty = dirtOf(windows, PAGE_SLOTS)
  const { dirt } = dirty
  expect(dirt.entries).toBeGreaterThan(LIMITS.dirtEntriesMax)
  for (const block of duePages(dirty, 'live', LIVE)) dirt.clean(block, windows)
  expect(dirt.entries).toBeLessThanOrEqual(LIMITS.dirtEntriesMax)
  expect(dirt.entries).toBeGreaterThan(LIMITS.dirtEntriesMax - 2 * PAGE_SLOTS)
})

test('I12: dirt of a sum a page is bounded by its pages', () => {
  const { dirt, counters } = dirtOf(LIMITS.dirtBlocksMax + 500, 1)
  expect(dirt.entries).toBeLessThan(LIMITS.dirtEntriesMax)
  for (const block of duePages({ dirt, counters }, 'live', LIVE)) dirt.clean(block, 1)
  expect(dirt.sums.size).toBe(LIMITS.dirtBlocksMax)
})

test('without dirt there is nothing to write', () => {
  const clean = dirtOf(0, 0)
  for (const mode of ['live', 'behind', 'flush', 'idle'] as const) {
    expect(duePages(clean, mode, LIVE)).toEqual([])
  }
})
