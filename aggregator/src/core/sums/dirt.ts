import type { CounterState } from '../series/counter-states.ts'
import { BlockPool } from './block-pool.ts'
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
  readonly sums: PagedSums
  /** Stored pages as they are or will be with the commit under way; `from` is their `next`. */
  readonly cache: PagedSums
  readonly stored = new StoredPages()
  #entries = 0

  /** The layers to come take their blocks from the same pool. */
  constructor(pool: BlockPool = new BlockPool()) {
    this.sums = new PagedSums(pool)
    this.cache = new PagedSums(pool)
  }

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
   * kept size, of which the finest takes the layer's own blocks where it has none. `first` is the
   * first offset of the layer, which is empty after.
   */
  absorb(layer: PagedSums, first: number, counters: readonly CounterState[]): void {
    for (let block = layer.oldest; block >= 0;) {
      const next = layer.after(block)
      const { counter, size: finest, start } = layer.familyOf(block)
      const page = layer.pageOf(block)
      this.#add(this.sums.family(counter, 0, 0), page, first, block)
      for (const size of counters[counter]!.contract.windowSizesMs) {
        if (size === finest) continue
        const window = this.sums.family(counter, size, Math.floor(start / size) * size)
        this.#add(window, page, first, block)
      }
      if (this.sums.find(counter, finest, start, page) < 0) {
        this.#entries += layer.countTouched(block)
        this.sums.adopt(block, layer, this.sums.family(counter, finest, start), page, first)
      } else {
        this.#add(this.sums.family(counter, finest, start), page, first, block)
      }
      block = next
    }
    layer.clear()
  }

  #add(family: Family, page: number, first: number, layerBlock: number): void {
    const { sums } = this
    this.#entries += sums.pool.addBlock(sums.block(family, page, first), layerBlock)
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

  /** True when what comes next will add to the page of a dirty block: totals, and open windows. */
  isFilling(block: number, clock: number): boolean {
    const { size, start } = this.sums.familyOf(block)
    return size === 0 || start + size > clock
  }

  /** An empty page in the cache, for one that is stored and about to be filled, or is new. */
  addPage(key: PageKey, next: number): number {
    const family = this.cache.family(key.counter, key.size, key.start)
    return this.cache.block(family, key.page, next)
  }

  /**
   * Adds a dirty block to its page in the cache, which is folded to `next` from then on, and makes
   * it clean; it becomes that page where none is cached. Gives the cached block, whose sums are now
   * to be written.
   */
  clean(block: number, next: number): number {
    const key = this.keyOf(block)
    this.stored.add(key)
    this.#entries -= this.sums.countTouched(block)
    const cached = this.cache.find(key.counter, key.size, key.start, key.page)
    if (cached < 0) {
      const family = this.cache.family(key.counter, key.size, key.start)
      this.cache.adopt(block, this.sums, family, key.page, next)
      return block
    }
    this.cache.pool.addBlock(cached, block)
    this.cache.from[cached] = next
    this.cache.touch(cached)
    this.sums.free(block)
    return cached
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
