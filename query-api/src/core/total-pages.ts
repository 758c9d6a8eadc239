import { fromLimbs, PAGE_SHIFT, PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import { LRUCache } from 'lru-cache'
import type { TailState } from './tail-state.ts'

/** A page of totals as it was read, together with its partition's floor in the same snapshot. */
export type ReadPage = {
  counter: number
  partition: number
  page: number
  /** Folded to here: the greater of the page's `next` and the floor. */
  foldedTo: number
  totals: BigInt64Array
  carries: BigInt64Array | undefined
}

export type CachedPage = ReadPage & {
  epoch: number
  /** While true, what the tail forgets is added to it first. */
  attended: boolean
}

const PAGE_OVERHEAD_BYTES = 200
const PAGE_BYTES = PAGE_SLOTS * 8 + PAGE_OVERHEAD_BYTES

/**
 * The pages of totals that were read lately, least recently used first out. A page stays usable as
 * long as it stays: before the tail lets deltas go, they are added to the pages that lack them.
 */
export class TotalPages {
  readonly #pages: LRUCache<number, CachedPage>
  #state: TailState | undefined

  constructor(bytesMax: number) {
    this.#pages = new LRUCache<number, CachedPage>({
      maxSize: bytesMax,
      sizeCalculation: (page) =>
        PAGE_BYTES + (page.carries === undefined ? 0 : page.carries.byteLength),
      dispose: (page) => this.#leave(page),
    })
  }

  /** The tail whose deltas these pages are to be added up with. */
  attend(state: TailState): void {
    this.#state = state
  }

  get bytes(): number {
    return this.#pages.calculatedSize
  }

  get(counter: number, partition: number, page: number): CachedPage | undefined {
    const key = keyOf(counter, partition, page)
    const cached = this.#pages.get(key)
    if (cached === undefined || this.#isUsable(cached)) return cached
    this.#pages.delete(key)
    return undefined
  }

  /** Keeps a page that was read; undefined when the tail has already let go what it lacks. */
  put(read: ReadPage): CachedPage | undefined {
    const state = this.#attended()
    const { counter, partition, page } = read
    const epoch = state.epoch(partition)
    const known = this.get(counter, partition, page)
    if (known !== undefined && known.foldedTo >= read.foldedTo) return known
    if (read.foldedTo < state.base(partition)) return undefined
    const cached = { ...read, epoch, attended: true }
    this.#pages.set(keyOf(counter, partition, page), cached)
    return cached
  }

  /**
   * The total of a slot at the tail's position, or the offset that the tail has to reach first, or
   * 'stale' when the page is of no use any more.
   */
  total(page: CachedPage, slot: number): { sum: bigint } | { waitFor: number } | 'stale' {
    const state = this.#attended()
    const { counter, partition } = page
    if (!this.#isUsable(page)) return 'stale'
    // What the tail has let go since is in the page: from there on or from its own end on is the same.
    const from = page.foldedTo
    if (from > state.next(partition)) return { waitFor: from }
    const at = slot & (PAGE_SLOTS - 1)
    const folded = fromLimbs(page.totals[at] ?? 0n, page.carries?.[at] ?? 0n)
    return { sum: folded + state.sumSince(partition, counter, slot, from) }
  }

  /** Adds a delta that the tail is about to forget to the page that lacks it, if it is here. */
  absorb(
    partition: number,
    counter: number,
    slot: number,
    first: number,
    delta: () => bigint,
  ): void {
    const page = this.#pages.peek(keyOf(counter, partition, slot >> PAGE_SHIFT))
    if (page === undefined || page.foldedTo > first) return
    const at = slot & (PAGE_SLOTS - 1)
    const sum = fromLimbs(page.totals[at] ?? 0n, page.carries?.[at] ?? 0n) + delta()
    const { low, carry } = toLimbs(sum)
    page.totals[at] = low
    if (carry !== 0n && page.carries === undefined) page.carries = new BigInt64Array(PAGE_SLOTS)
    if (page.carries !== undefined) page.carries[at] = carry
  }

  #isUsable(page: CachedPage): boolean {
    const state = this.#attended()
    if (page.epoch !== state.epoch(page.partition)) return false
    return page.attended || page.foldedTo >= state.base(page.partition)
  }

  /** From now on nothing is added to it: it is folded to where the tail begins, and stays there. */
  #leave(page: CachedPage): void {
    const state = this.#state
    if (state === undefined) return
    page.foldedTo = Math.max(page.foldedTo, state.base(page.partition))
    page.attended = false
  }

  #attended(): TailState {
    if (this.#state === undefined) throw new Error('pages without a tail')
    return this.#state
  }
}

const PARTITION_RANGE = 2 ** 14
const PAGE_RANGE = 2 ** 17

/** One exact number for a page: partitions below 2^14, pages below 2^17, counters below 2^22. */
function keyOf(counter: number, partition: number, page: number): number {
  return (counter * PARTITION_RANGE + partition) * PAGE_RANGE + page
}
