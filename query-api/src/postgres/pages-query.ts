import { PAGE_SLOTS } from '@countersink/shared/page-format'
import { generationSchema } from '@countersink/shared/postgres/pool'
import type { ReadPage } from '../core/total-pages.ts'
import { parseInt64s } from './array-text.ts'
import type { Database } from './database.ts'

export type PageKey = { counter: number; partition: number; page: number }

/** Pages of totals, each with how far it is folded; one that does not exist is 0 at the floor. */
export async function readPages(
  database: Database,
  generation: number,
  pages: readonly PageKey[],
): Promise<ReadPage[]> {
  const s = generationSchema(generation)
  const rows = await database.ask<{
    counter: number
    partition: number
    page: number
    folded_to: string
    totals: string | null
    carries: string | null
  }>({
    name: `pages_${generation}`,
    text: `
      select k.counter, k.partition, k.page, greatest(t.next, p.floor) as folded_to,
        coalesce(t.small_totals::text, t.totals::text) as totals, t.carries::text
      from unnest($1::int[], $2::int[], $3::int[]) k (counter, partition, page)
      join ${s}.partitions p on p.partition = k.partition
      left join ${s}.total_pages_512 t
        on t.counter = k.counter and t.partition = k.partition and t.page = k.page`,
    values: [pages.map((p) => p.counter), pages.map((p) => p.partition), pages.map((p) => p.page)],
  })
  return rows.map(({ counter, partition, page, folded_to, totals, carries }) => ({
    counter,
    partition,
    page,
    foldedTo: Number(folded_to),
    totals: parseInt64s(totals ?? '{}', PAGE_SLOTS),
    carries: carries === null ? undefined : parseInt64s(carries, PAGE_SLOTS),
  }))
}

export type SlotKey = { counter: number; partition: number; slot: number }
export type SlotTotal = SlotKey & { foldedTo: number; sum: bigint }

/**
 * Totals of slots whose page is folded to less than the tail holds: page and log added up by the
 * server up to `tailBase` of their partition, where the tail's deltas begin. Dear, and rare: only
 * when the tail had to give up deltas above the floor.
 */
export async function readSlotTotals(
  database: Database,
  generation: number,
  slots: readonly (SlotKey & { tailBase: number })[],
): Promise<SlotTotal[]> {
  const s = generationSchema(generation)
  const rows = await database.ask<{
    counter: number
    partition: number
    slot: number
    folded_to: string
    sum: string
  }>({
    text: `
      select k.counter, k.partition, k.slot,
        greatest(t.next, p.floor, k.tail_base) as folded_to,
        coalesce(
          t.small_totals[countersink.place_of(k.slot) + 1],
          t.totals[countersink.place_of(k.slot) + 1],
          0
        ) + coalesce(t.carries[countersink.place_of(k.slot) + 1], 0) * 18446744073709551616::numeric
          + coalesce(dirt.sum, 0) as sum
      from unnest($1::int[], $2::int[], $3::int[], $4::bigint[])
        k (counter, partition, slot, tail_base)
      join ${s}.partitions p on p.partition = k.partition
      left join ${s}.total_pages_512 t on t.counter = k.counter and t.partition = k.partition
        and t.page = countersink.page_of(k.slot)
      left join lateral (
        select sum(u.delta + coalesce(u.carry, 0) * 18446744073709551616::numeric) as sum
        from ${s}.window_deltas d
        cross join unnest(
          d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries
        ) u (slot, delta, carry)
        where d.partition = k.partition and d.counter = k.counter
          and d.first >= greatest(t.next, p.floor) and d.first < k.tail_base and u.slot = k.slot
      ) dirt on true`,
    values: [
      slots.map((slot) => slot.counter),
      slots.map((slot) => slot.partition),
      slots.map((slot) => slot.slot),
      slots.map((slot) => slot.tailBase),
    ],
  })
  return rows.map(({ counter, partition, slot, folded_to, sum }) => ({
    counter,
    partition,
    slot,
    foldedTo: Number(folded_to),
    sum: BigInt(sum),
  }))
}
