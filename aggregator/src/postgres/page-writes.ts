import type pg from 'pg'
import type { PartitionState } from '../core/partition-state.ts'
import { int4s, int8s } from './binary-arrays.ts'
import type { CounterIds } from './counter-ids.ts'
import { movedPartitions } from './moved.ts'
import { SumColumns, sumColumnsSql } from './sum-columns.ts'

type PageRows = {
  counters: number[]
  partitions: number[]
  pages: number[]
  nexts: number[]
  sizes: number[]
  starts: number[]
  sums: SumColumns
}

/**
 * The pages of one commit, set-based: one statement per table, whose sums travel as one array that
 * it cuts up. They can be sent again as they are: a retried transaction writes the same pages.
 */
export class PageWrites {
  readonly #schema: string
  #totals = noRows(new SumColumns())
  #windows = noRows(new SumColumns())

  constructor(schema: string) {
    this.#schema = schema
  }

  begin(): void {
    this.#totals = noRows(this.#totals.sums)
    this.#windows = noRows(this.#windows.sums)
  }

  /** Pages since begin(). */
  get count(): number {
    return this.#totals.pages.length + this.#windows.pages.length
  }

  /** Cleans dirty blocks of one partition and takes in their pages, folded to `next` now. */
  add(state: PartitionState, dirty: readonly number[], next: number, counterIds: CounterIds): void {
    const { dirt } = state
    for (const dirtyBlock of dirty) {
      const { counter, size, start, page } = dirt.keyOf(dirtyBlock)
      const block = dirt.clean(dirtyBlock, next)
      const rows = size === 0 ? this.#totals : this.#windows
      if (size === 0) rows.sums.addPage(dirt.cache.pool, block)
      else rows.sums.addTouched(dirt.cache.pool, block, 0)
      rows.sums.row()
      rows.counters.push(counterIds.of(state.counters.list[counter]!.name))
      rows.partitions.push(state.partition)
      rows.pages.push(page)
      rows.nexts.push(next)
      rows.sizes.push(size)
      rows.starts.push(start)
    }
  }

  /** The statements; those without pages are left out. */
  statements(moved: readonly unknown[]): pg.QueryConfig[] {
    const statements: pg.QueryConfig[] = []
    if (this.#totals.pages.length > 0) statements.push(this.#writeTotals(moved))
    if (this.#windows.pages.length > 0) statements.push(this.#writeWindows(moved))
    return statements
  }

  #writeTotals(moved: readonly unknown[]): pg.QueryConfig {
    const s = this.#schema
    const { counters, partitions, pages, nexts, sums } = this.#totals
    const [, , ...values] = sums.bounds()
    return {
      name: `write-totals-${s}`,
      text: `with ${movedPartitions(s)}
        insert into ${s}.total_pages_512
          (counter, partition, page, next, small_totals, totals, carries)
        select u.counter, u.partition, u.page, u.next,
          ${sumColumnsSql(11)}
        from unnest($4::int[], $5::int[], $6::int[], $7::bigint[], $8::int[], $9::int[], $10::int[])
          u (counter, partition, page, next, kind, value_lo, value_hi)
        join moved using (partition)
        on conflict (counter, partition, page) do update
        set next = excluded.next, small_totals = excluded.small_totals, totals = excluded.totals,
          carries = excluded.carries`,
      values: [
        ...moved,
        int4s(counters),
        int4s(partitions),
        int4s(pages),
        int8s(nexts),
        ...values,
        ...sums.sums(),
      ],
    }
  }

  #writeWindows(moved: readonly unknown[]): pg.QueryConfig {
    const s = this.#schema
    const { counters, partitions, pages, nexts, sizes, starts, sums } = this.#windows
    return {
      name: `write-windows-${s}`,
      text: `with ${movedPartitions(s)}
        insert into ${s}.window_pages_512
          (counter, partition, page, size, start, next, slots, small_deltas, deltas, carries)
        select u.counter, u.partition, u.page, u.size, u.start, u.next,
          ($15::int[])[u.lo : u.hi]::smallint[],
          ${sumColumnsSql(16)}
        from unnest($4::int[], $5::int[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[],
          $10::int[], $11::int[], $12::int[], $13::int[], $14::int[])
          u (counter, partition, page, next, size, start, lo, hi, kind, value_lo, value_hi)
        join moved using (partition)
        on conflict (counter, partition, page, size, start) do update
        set next = excluded.next, slots = excluded.slots, small_deltas = excluded.small_deltas,
          deltas = excluded.deltas, carries = excluded.carries`,
      values: [
        ...moved,
        int4s(counters),
        int4s(partitions),
        int4s(pages),
        int8s(nexts),
        int8s(sizes),
        int8s(starts),
        ...sums.bounds(),
        sums.slots(),
        ...sums.sums(),
      ],
    }
  }
}

function noRows(sums: SumColumns): PageRows {
  sums.begin()
  return { counters: [], partitions: [], pages: [], nexts: [], sizes: [], starts: [], sums }
}
