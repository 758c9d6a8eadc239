import type { CounterState } from '../series/counter-states.ts'
import { type Family, PagedSums } from './paged-sums.ts'
import { StoredPages } from './stored-pages.ts'

/** Names a page: the totals of a counter (size and start 0) or one of its windows. */
export type PageKey = { counter: number; size: number; start: number; page: number }

/**
 * What the log has and the pages do not have yet, page by page, beside the pages last seen. All of
 * it lies below the offset of the last seal: the next batch folds into a layer of its own, so a page
 * written with `next` = m holds exactly the offsets below m.
 */
export class Dirt {
  /** Dirty pages, the one dirty for the longest first; `from` is the first offset it lacks. */
  readonly sums = new PagedSums()
  /** Stored pages as they are or will be with the commit under way; `from` is their `next`. */
  readonly cache = new PagedSums()
  readonly stored = new StoredPages()
  #entries = 0

  /** How many sums are dirty, over all pages. */
  get entries(): number {
    return this.#entries
  }

  /** From which offset on the log may hold dirt, when everything below `next` is sealed. */
  floor(next: number): number {
    const { oldest } = this.sums
    return oldest < 0 ? next : this.sums.from[oldest]!
  }

  /**
   * Takes in a sealed layer of per-window deltas: each goes to its total and to its window of each
   * kept size. `first` is the first offset of the layer.
   */
  absorb(layer: PagedSums, first: number, counters: readonly CounterState[]): void {
    for (let block = layer.oldest; block >= 0; block = layer.after(block)) {
      const { counter, start } = layer.familyOf(block)
      const page = layer.pageOf(block)
      this.#add(this.sums.family(counter, 0, 0), page, first, layer, block)
      for (const size of counters[counter]!.contract.windowSizesMs) {
        const window = this.sums.family(counter, size, Math.floor(start / size) * size)
        this.#add(window, page, first, layer, block)
      }
    }
  }

  #add(family: Family, page: number, first: number, layer: PagedSums, layerBlock: number): void {
    this.#entries += this.sums.addBlock(this.sums.block(family, page, first), layer, layerBlock)
  }

  /** Adds one stored delta to one page: how dirt comes back from the log after a take-over. */
  restore(key: PageKey, index: number, delta: bigint, first: number): void {
    const block = this.sums.block(
      this.sums.family(key.counter, key.size, key.start),
      key.page,
      first,
    )
    if (!this.sums.isTouched(block, index)) this.#entries++
    this.sums.set(block, index, this.sums.sum(block, index) + delta)
  }

  /** The dirty blocks, oldest first, at most `max` of them. */
  oldest(max: number): number[] {
    const blocks: number[] = []
    for (let block = this.sums.oldest; block >= 0 && blocks.length < max;) {
      blocks.push(block)
      block = this.sums.after(block)
    }
    return blocks
  }

  keyOf(block: number): PageKey {
    const { counter, size, start } = this.sums.familyOf(block)
    return { counter, size, start, page: this.sums.pageOf(block) }
  }

  /** True when the page of a dirty block may be stored and is not cached: it has to be read. */
  isUnknown(block: number): boolean {
    const { counter, size, start } = this.sums.familyOf(block)
    if (this.cache.find(counter, size, start, this.sums.pageOf(block)) >= 0) return false
    return this.stored.mayHave(this.keyOf(block))
  }

  /** True when the page of a dirty block is one of a window that goes on beyond `clock`. */
  isOpen(block: number, clock: number): boolean {
    const { size, start } = this.sums.familyOf(block)
    return size !== 0 && start + size > clock
  }

  /** An empty page in the cache, for one that is stored and about to be filled, or is new. */
  addPage(key: PageKey, next: number): number {
    const family = this.cache.family(key.counter, key.size, key.start)
    return this.cache.block(family, key.page, next)
  }

  /**
   * Adds a dirty block to its page in the cache, which is folded to `next` from then on, and makes
   * it clean. Gives the cached block, whose sums are now to be written.
   */
  clean(block: number, next: number): number {
    const key = this.keyOf(block)
    const page = this.addPage(key, next)
    this.stored.add(key)
    this.#entries -= this.sums.countTouched(block)
    this.cache.addBlock(page, this.sums, block)
    this.cache.from[page] = next
    this.cache.touch(page)
    this.sums.free(block)
    return page
  }

  /**
   * Drops pages until at most `max` are cached: windows first, the one unused for longest before
   * the others. A catching-up commit fills more windows than there is room for, and the next one
   * needs its totals again.
   */
  evict(max: number): void {
    let chances = this.cache.size
    while (this.cache.size > max) {
      const { oldest } = this.cache
      const isTotal = this.cache.familyOf(oldest).size === 0
      if (isTotal && chances > 0) {
        chances--
        this.cache.touch(oldest)
      } else {
        this.cache.free(oldest)
      }
    }
  }
}
