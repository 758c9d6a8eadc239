import type pg from 'pg'
import type { PartitionState } from '../core/partition-state.ts'
import { int4ArrayParameter, int8ArrayParameter } from './binary-arrays.ts'
import { CopyWriter } from './copy-binary.ts'
import { copyRows, type RowRange } from './copy-rows.ts'
import type { CounterIds } from './counter-ids.ts'
import { writeSums } from './seal.ts'
import { createSlotScratch, gatherPage, gatherSlots, type SlotScratch } from './slot-scratch.ts'

type Keys = {
  counters: number[]
  partitions: number[]
  pages: number[]
  nexts: number[]
  sizes: number[]
  starts: number[]
  /** Where each page's sums end in the scratch. */
  ends: number[]
}

/** A page whose sums left int64: written one by one, since it is as good as never there. */
type WidePage = { partition: number; text: string; values: unknown[] }

/**
 * The pages of one commit, set-based: new ones by COPY, stored ones by one update per table, whose
 * sums travel as one array that the statement cuts up. Whoever executes it may do so again with the
 * same content: a retried transaction writes the same pages.
 */
export class PageWrites {
  readonly #schema: string
  readonly #newTotals = new CopyWriter()
  readonly #newWindows = new CopyWriter()
  readonly #totals = createSlotScratch()
  readonly #windows = createSlotScratch()
  readonly #page = createSlotScratch()
  #slots = new Int16Array(128)
  #totalKeys: Keys = noKeys()
  #windowKeys: Keys = noKeys()
  #wide: WidePage[] = []
  #newRows: { partition: number; totals: RowRange; windows: RowRange }[] = []

  constructor(schema: string) {
    this.#schema = schema
    this.begin()
  }

  begin(): void {
    this.#newTotals.begin()
    this.#newWindows.begin()
    this.#totals.length = 0
    this.#windows.length = 0
    this.#totalKeys = noKeys()
    this.#windowKeys = noKeys()
    this.#wide = []
    this.#newRows = []
  }

  /** Pages since begin(). */
  get count(): number {
    const stored = this.#totalKeys.pages.length + this.#windowKeys.pages.length
    return stored + this.#newTotals.rows + this.#newWindows.rows + this.#wide.length
  }

  /** Cleans dirty blocks of one partition and takes in their pages, folded to `next` now. */
  add(state: PartitionState, dirty: readonly number[], next: number, counterIds: CounterIds): void {
    const start = { totals: this.#newTotals.bytes, windows: this.#newWindows.bytes }
    for (const block of dirty) this.#addPage(state, block, next, counterIds)
    this.#newRows.push({
      partition: state.partition,
      totals: { start: start.totals, end: this.#newTotals.bytes },
      windows: { start: start.windows, end: this.#newWindows.bytes },
    })
  }

  #addPage(state: PartitionState, dirty: number, next: number, counterIds: CounterIds): void {
    const { dirt } = state
    const { counter, size, start, page } = dirt.keyOf(dirty)
    const isNew = dirt.cached(dirty) < 0
    const block = dirt.clean(dirty, next)
    const id = counterIds.of(state.counters.list[counter]!.name)
    this.#page.length = 0
    if (size === 0) gatherPage(dirt.cache, block, this.#page)
    else gatherSlots(dirt.cache, block, 0, this.#page)
    if (isNew) this.#copyNew(id, state.partition, page, size, start, next)
    else if (this.#page.wide !== undefined)
      this.#addWide(id, state.partition, page, size, start, next)
    else this.#addStored(id, state.partition, page, size, start, next)
  }

  /** Writes the pages of those partitions; the others are left out. */
  async execute(client: pg.ClientBase, partitions: ReadonlySet<number>): Promise<void> {
    if (this.#totalKeys.pages.length > 0) await this.#updateTotals(client, [...partitions])
    if (this.#windowKeys.pages.length > 0) await this.#updateWindows(client, [...partitions])
    for (const { partition, text, values } of this.#wide) {
      if (partitions.has(partition)) await client.query(text, values)
    }
    const rows = this.#newRows.filter(({ partition }) => partitions.has(partition))
    const s = this.#schema
    await copyRows(
      client,
      `${s}.total_pages (counter, partition, page, next, totals, carries)`,
      this.#newTotals,
      rows.map(({ totals }) => totals),
    )
    await copyRows(
      client,
      `${s}.window_pages (counter, partition, page, size, start, next, slots, deltas, carries)`,
      this.#newWindows,
      rows.map(({ windows }) => windows),
    )
  }

  #copyNew(id: number, partition: number, page: number, size: number, start: number, next: number) {
    const to = size === 0 ? this.#newTotals : this.#newWindows
    to.row(size === 0 ? 6 : 9)
    to.int4(id)
    to.int4(partition)
    to.int4(page)
    if (size !== 0) {
      to.int8(size)
      to.int8(start)
    }
    to.int8(next)
    if (size !== 0) {
      const { slots, length } = this.#page
      for (let i = 0; i < length; i++) this.#slots[i] = slots[i]!
      to.int2Array(this.#slots, 0, length)
    }
    writeSums(this.#page, to)
  }

  #addStored(
    id: number,
    partition: number,
    page: number,
    size: number,
    start: number,
    next: number,
  ) {
    const keys = size === 0 ? this.#totalKeys : this.#windowKeys
    const scratch = size === 0 ? this.#totals : this.#windows
    append(scratch, this.#page)
    keys.counters.push(id)
    keys.partitions.push(partition)
    keys.pages.push(page)
    keys.nexts.push(next)
    keys.sizes.push(size)
    keys.starts.push(start)
    keys.ends.push(scratch.length)
  }

  #addWide(id: number, partition: number, page: number, size: number, start: number, next: number) {
    const { lows, carries } = this.#page.wide!
    const limbs = [lows.map(String), carries.map(String)]
    if (size === 0) {
      const text = `update ${this.#schema}.total_pages set next = $4, totals = $5, carries = $6
        where counter = $1 and partition = $2 and page = $3`
      this.#wide.push({ partition, text, values: [id, partition, page, next, ...limbs] })
      return
    }
    const text = `update ${this.#schema}.window_pages
      set next = $6, slots = $7, deltas = $8, carries = $9
      where counter = $1 and partition = $2 and page = $3 and size = $4 and start = $5`
    const slots = [...this.#page.slots.subarray(0, this.#page.length)]
    this.#wide.push({
      partition,
      text,
      values: [id, partition, page, size, start, next, slots, ...limbs],
    })
  }

  async #updateTotals(client: pg.ClientBase, partitions: number[]): Promise<void> {
    const keys = this.#totalKeys
    await client.query({
      name: `update-totals-${this.#schema}`,
      text: `update ${this.#schema}.total_pages t
        set next = u.next, carries = null,
          totals = ($5::bigint[])[u.i * 128 - 127 : u.i * 128]
        from unnest($1::int[], $2::int[], $3::int[], $4::bigint[]) with ordinality
          u (counter, partition, page, next, i)
        where t.counter = u.counter and t.partition = u.partition and t.page = u.page
          and u.partition = any ($6)`,
      values: [
        int4(keys.counters),
        int4(keys.partitions),
        int4(keys.pages),
        int8(keys.nexts),
        int8ArrayParameter(this.#totals.lows, 0, this.#totals.length),
        partitions,
      ],
    })
  }

  async #updateWindows(client: pg.ClientBase, partitions: number[]): Promise<void> {
    const keys = this.#windowKeys
    const { slots, lows, length } = this.#windows
    const starts = keys.ends.map((_, i) => (i === 0 ? 1 : keys.ends[i - 1]! + 1))
    await client.query({
      name: `update-windows-${this.#schema}`,
      text: `update ${this.#schema}.window_pages w
        set next = u.next, carries = null,
          slots = ($9::int[])[u.lo : u.hi]::smallint[], deltas = ($10::bigint[])[u.lo : u.hi]
        from unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
          $7::int[], $8::int[]) u (counter, partition, page, next, size, start, lo, hi)
        where w.counter = u.counter and w.partition = u.partition and w.page = u.page
          and w.size = u.size and w.start = u.start and u.partition = any ($11)`,
      values: [
        int4(keys.counters),
        int4(keys.partitions),
        int4(keys.pages),
        int8(keys.nexts),
        int8(keys.sizes),
        int8(keys.starts),
        int4(starts),
        int4(keys.ends),
        int4ArrayParameter(slots, 0, length),
        int8ArrayParameter(lows, 0, length),
        partitions,
      ],
    })
  }
}

function noKeys(): Keys {
  return { counters: [], partitions: [], pages: [], nexts: [], sizes: [], starts: [], ends: [] }
}

function append(to: SlotScratch, from: SlotScratch): void {
  const length = to.length + from.length
  if (length > to.lows.length) {
    const slots = new Int32Array(length * 2)
    slots.set(to.slots)
    to.slots = slots
    const lows = new Float64Array(length * 2)
    lows.set(to.lows)
    to.lows = lows
  }
  to.slots.set(from.slots.subarray(0, from.length), to.length)
  to.lows.set(from.lows.subarray(0, from.length), to.length)
  to.length = length
}

function int4(values: readonly number[]): Buffer {
  return int4ArrayParameter(Int32Array.from(values))
}

function int8(values: readonly number[]): Buffer {
  return int8ArrayParameter(Float64Array.from(values))
}
