import { PAGE_SHIFT, PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import type { DeltaRow, LoadedPartition, PolledCommit, PolledPartition } from './tail-state.ts'
import type { ReadPage } from './total-pages.ts'
import type { LoggedDelta, PagedWindow, SlotRef, WindowRange, WindowsRead } from './window-sums.ts'

/** One delta, as the model remembers it for ever. */
export type Entry = { counter: number; slot: number; start: number; delta: bigint }

type ModelCommit = { first: number; next: number; entries: readonly Entry[]; large: boolean }
type Fold = { next: number; sums: Map<number, bigint> }

/**
 * What the database is to a reader, for tests: one partition's commits, its pages folded to here
 * and there, and its floor. Everything is kept, so that a sum at any position is a plain fold.
 */
export class LogModel {
  readonly partition: number
  readonly sizes: readonly number[]
  commits: ModelCommit[] = []
  floor = 0
  /** `counter/page` and `counter/page/size/start` -> the page. */
  pages = new Map<string, Fold>()

  constructor(partition: number, sizes: readonly number[]) {
    this.partition = partition
    this.sizes = sizes
  }

  get next(): number {
    return this.commits.at(-1)?.next ?? 0
  }

  commit(offsets: number, entries: readonly Entry[], large: boolean): void {
    this.commits.push({ first: this.next, next: this.next + offsets, entries, large })
  }

  /** The oracle: everything that a slot got before offset `position`, by finest window. */
  fold(counter: number, slot: number, position: number): Map<number, bigint> {
    const sums = new Map<number, bigint>()
    for (const commit of this.commits) {
      if (commit.first >= position) break
      for (const entry of commit.entries) {
        if (entry.counter !== counter || entry.slot !== slot) continue
        sums.set(entry.start, (sums.get(entry.start) ?? 0n) + entry.delta)
      }
    }
    return sums
  }

  /** Writes the pages that the entry belongs to, as a commit that ends at the position does. */
  writePages({ counter, slot, start }: Entry, which: 'total' | 'windows'): void {
    const page = slot >> PAGE_SHIFT
    if (which === 'total') this.#write(`${counter}/${page}`, page, counter, 0, Infinity)
    else {
      for (const size of this.sizes) {
        const from = start - (start % size)
        this.#write(`${counter}/${page}/${size}/${from}`, page, counter, from, from + size)
      }
    }
  }

  writeAll(): void {
    for (const { first, entries } of this.commits) {
      if (first < this.floor) continue
      for (const entry of entries) {
        this.writePages(entry, 'total')
        this.writePages(entry, 'windows')
      }
    }
  }

  #write(key: string, page: number, counter: number, from: number, to: number): void {
    const sums = new Map<number, bigint>()
    for (const { entries } of this.commits) {
      for (const entry of entries) {
        const here = entry.counter === counter && entry.slot >> PAGE_SHIFT === page
        if (!here || entry.start < from || entry.start >= to) continue
        sums.set(entry.slot, (sums.get(entry.slot) ?? 0n) + entry.delta)
      }
    }
    // As the real one, a page does not store what is zero.
    for (const [slot, sum] of sums) if (sum === 0n) sums.delete(slot)
    this.pages.set(key, { next: this.next, sums })
  }

  /** Moves the floor as far as the pages allow. */
  raiseFloor(): void {
    for (const commit of this.commits) {
      if (commit.first < this.floor) continue
      const clean = commit.entries.every((entry) =>
        this.#keysOf(entry).every((key) => (this.pages.get(key)?.next ?? 0) > commit.first),
      )
      if (!clean) return
      this.floor = commit.next
    }
  }

  #keysOf({ counter, slot, start }: Entry): string[] {
    const page = `${counter}/${slot >> PAGE_SHIFT}`
    return [page, ...this.sizes.map((size) => `${page}/${size}/${start - (start % size)}`)]
  }

  loaded(): LoadedPartition {
    const { partition, next, floor } = this
    return { partition, next, floor, appendMax: 0, clocks: [], slots: [] }
  }

  polled(known: number, commitsMax: number): PolledPartition {
    const commits = this.commits
      .filter(({ first }) => first >= known)
      .slice(0, commitsMax)
      .map((commit) => this.#polledCommit(commit))
    const { partition, next, floor } = this
    return { partition, next, floor, appendMax: 0, commits, gaps: [] }
  }

  #polledCommit({ first, next, entries, large }: ModelCommit): PolledCommit {
    const rows = large && first < this.floor ? undefined : entries.map(rowOf)
    return { first, next, clocks: [], rows }
  }

  readPage(counter: number, page: number): ReadPage {
    const stored = this.pages.get(`${counter}/${page}`)
    const limbs = Array.from({ length: PAGE_SLOTS }, (_, i) =>
      toLimbs(stored?.sums.get((page << PAGE_SHIFT) + i) ?? 0n),
    )
    const carries = limbs.some(({ carry }) => carry !== 0n)
    return {
      counter,
      partition: this.partition,
      page,
      foldedTo: Math.max(this.floor, stored?.next ?? 0),
      totals: BigInt64Array.from(limbs, ({ low }) => low),
      carries: carries ? BigInt64Array.from(limbs, ({ carry }) => carry) : undefined,
    }
  }

  readWindows(
    counter: number,
    { slot }: SlotRef,
    range: WindowRange,
    tailBase: number,
  ): WindowsRead {
    const { partition } = this
    const pages: PagedWindow[] = []
    for (let start = range.from; start < range.to; start += range.size) {
      const stored = this.pages.get(`${counter}/${slot >> PAGE_SHIFT}/${range.size}/${start}`)
      const sum = stored?.sums.get(slot)
      if (stored === undefined || (sum === undefined && stored.next <= this.floor)) continue
      pages.push({ partition, slot, start, next: stored.next, delta: sum ?? 0n })
    }
    const logged: LoggedDelta[] = []
    for (const { first, entries } of this.commits) {
      if (first < this.floor || first >= tailBase) continue
      for (const entry of entries) {
        if (entry.counter !== counter || entry.slot !== slot) continue
        logged.push({ partition, slot, first, start: entry.start, delta: entry.delta })
      }
    }
    return {
      floors: new Map([[partition, this.floor]]),
      pages,
      logged,
      tailBase: new Map([[partition, tailBase]]),
    }
  }
}

function rowOf({ counter, slot, start, delta }: Entry): DeltaRow {
  const { low, carry } = toLimbs(delta)
  return {
    counter,
    start,
    slots: Int32Array.of(slot),
    deltas: BigInt64Array.of(low),
    carries: carry === 0n ? undefined : BigInt64Array.of(carry),
  }
}
