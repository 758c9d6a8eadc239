import { PAGE_SHIFT } from '@countersink/shared/page-format'
import type { CachedPage } from '../core/total-pages.ts'
import type { SlotRef } from '../core/window-sums.ts'
import { readPages, readSlotTotals, type PageKey } from '../postgres/pages-query.ts'
import type { CounterInfo, World } from '../postgres/world.ts'
import { attempt, whenReached, type Computed, type ReadBounds, type ReadContext } from './reader.ts'
import { areAttended, resolveSeries, type FoundSeries, type SeriesName } from './series.ts'

export type Total = { info: CounterInfo; slots: readonly SlotRef[]; total: bigint }

export type Totals = {
  world: World
  /** In the order asked for; undefined where the counter is unknown. */
  totals: (Total | undefined)[]
  /** partition -> next: what exactly is counted in all of them. */
  position: ReadonlyMap<number, number>
}

/** Totals of series at one position. */
export function readTotals(
  context: ReadContext,
  names: readonly SeriesName[],
  bounds: ReadBounds,
): Promise<Totals> {
  return attempt(context, bounds, async (world) => {
    const series = await resolveSeries(context.database, world, names)
    const needed = slotsOf(series)
    const pages = await collectPages(context, world, needed)
    return whenReached(context.tail, world, bounds.deadline, () => {
      if (!areAttended(series) || hasGrown(series, needed)) return { kind: 'stale' }
      const sums = new Map<string, bigint>()
      for (const { counter, partition, slot } of needed) {
        const sum = slotSum(world, pages, counter, partition, slot)
        if (sum.kind !== 'done') return sum
        sums.set(slotKey(counter, partition, slot), sum.value)
      }
      const totals = series.map((found) => (found === undefined ? undefined : total(found, sums)))
      return { kind: 'done', value: { world, totals, position: world.state.positions() } }
    })
  })
}

type Needed = { counter: number; partition: number; slot: number }

function slotsOf(series: readonly (FoundSeries | undefined)[]): Needed[] {
  return series.flatMap((found) => {
    if (found === undefined) return []
    return found.lookup.slots.map((slot) => ({ counter: found.info.counter, ...slot }))
  })
}

/** Whether a series has got a slot since its pages were read. */
function hasGrown(
  series: readonly (FoundSeries | undefined)[],
  needed: readonly Needed[],
): boolean {
  let slots = 0
  for (const found of series) slots += found?.lookup.slots.length ?? 0
  return slots !== needed.length
}

function slotKey(counter: number, partition: number, slot: number): string {
  return `${counter}/${partition}/${slot}`
}

function total({ info, lookup }: FoundSeries, sums: ReadonlyMap<string, bigint>): Total {
  let sum = 0n
  for (const { partition, slot } of lookup.slots) {
    sum += sums.get(slotKey(info.counter, partition, slot)) ?? 0n
  }
  return { info, slots: lookup.slots, total: sum }
}

type Pages = {
  pages: Map<string, CachedPage>
  /** Sums of single slots, folded to where the tail's deltas begin, where no page was of use. */
  slots: Map<string, { foldedTo: number; sum: bigint }>
}

async function collectPages(
  context: ReadContext,
  world: World,
  needed: readonly Needed[],
): Promise<Pages> {
  const { database, metrics } = context
  const pages = new Map<string, CachedPage>()
  const missing = new Map<string, PageKey>()
  for (const { counter, partition, slot } of needed) {
    const page = slot >> PAGE_SHIFT
    const key = slotKey(counter, partition, page)
    if (pages.has(key) || missing.has(key)) continue
    const cached = world.pages.get(counter, partition, page)
    if (cached === undefined) missing.set(key, { counter, partition, page })
    else pages.set(key, cached)
  }
  metrics.pagesHit(pages.size)
  const slots: Pages['slots'] = new Map()
  if (missing.size === 0) return { pages, slots }

  metrics.pagesRead(missing.size)
  const { generation } = world.state
  for (const read of await readPages(database, generation, [...missing.values()])) {
    const page = world.pages.put(read)
    if (page === undefined) continue
    pages.set(slotKey(read.counter, read.partition, read.page), page)
  }
  const behind = needed.filter(
    ({ counter, partition, slot }) => !pages.has(slotKey(counter, partition, slot >> PAGE_SHIFT)),
  )
  if (behind.length === 0) return { pages, slots }

  metrics.dearRead()
  const asked = behind.map((slot) => ({ ...slot, tailBase: world.state.base(slot.partition) }))
  for (const { counter, partition, slot, ...sum } of await readSlotTotals(
    database,
    generation,
    asked,
  )) {
    slots.set(slotKey(counter, partition, slot), sum)
  }
  return { pages, slots }
}

function slotSum(
  { state, pages: cache }: World,
  { pages, slots }: Pages,
  counter: number,
  partition: number,
  slot: number,
): Computed<bigint> {
  const page = pages.get(slotKey(counter, partition, slot >> PAGE_SHIFT))
  if (page !== undefined) {
    const total = cache.total(page, slot)
    if (total === 'stale') return { kind: 'stale' }
    if ('waitFor' in total) return { kind: 'wait', partition, next: total.waitFor }
    return { kind: 'done', value: total.sum }
  }
  const folded = slots.get(slotKey(counter, partition, slot))
  if (folded === undefined || folded.foldedTo < state.base(partition)) return { kind: 'stale' }
  if (folded.foldedTo > state.next(partition)) {
    return { kind: 'wait', partition, next: folded.foldedTo }
  }
  const dirt = state.sumSince(partition, counter, slot, folded.foldedTo)
  return { kind: 'done', value: folded.sum + dirt }
}
