/** A page of 512 bytes holds 32 ids of four words, or 256 slots of an index. */
export const PAGE_WORDS = 128
/** Slabs of 32 KiB: while there are few pages the last one is copied often, so it has to be short. */
const SLAB_PAGES_SHIFT = 6
const SLAB_PAGES = 1 << SLAB_PAGES_SHIFT
const SLAB_WORDS_SHIFT = SLAB_PAGES_SHIFT + 7
const SLAB_WORDS_MASK = (1 << SLAB_WORDS_SHIFT) - 1
const SLAB_SLOTS_SHIFT = SLAB_WORDS_SHIFT + 1
const SLAB_SLOTS_MASK = (1 << SLAB_SLOTS_SHIFT) - 1
/** The last slab grows in steps of a 128th of all there is: room for more costs 1 % at most. */
const STEP_PAGES_MIN = 2
const STEP_SHARE = 128

/**
 * Memory in pages, dealt and taken back one by one; a page can be looked at as words of 32 bits or
 * slots of 16. Places in it are counted from the first page on: `slabOf` gives the array, `placeOf`
 * the place in it. A call of `alloc` may replace the last slab: look it up again behind it.
 */
export class PageStore {
  readonly #words: Int32Array[] = []
  readonly #slots: Uint16Array[] = []
  #pages = 0
  #dealt = 0
  /** So many pages will be needed: up to there slabs are made whole. */
  #reserved = 0
  readonly #free: number[] = []

  get byteLength(): number {
    return this.#pages * PAGE_WORDS * 4
  }

  /** The number of a page whose content is anything. */
  alloc(): number {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#dealt === this.#pages) this.#grow()
    return this.#dealt++
  }

  reserve(pages: number): void {
    this.#reserved = Math.max(this.#reserved, pages)
  }

  free(page: number): void {
    this.#free.push(page)
  }

  slabOf(word: number): Int32Array {
    return this.#words[word >>> SLAB_WORDS_SHIFT]!
  }

  placeOf(word: number): number {
    return word & SLAB_WORDS_MASK
  }

  slotsOf(slot: number): Uint16Array {
    return this.#slots[slot >>> SLAB_SLOTS_SHIFT]!
  }

  slotPlaceOf(slot: number): number {
    return slot & SLAB_SLOTS_MASK
  }

  /** Copied, not transferred: one detached buffer makes every typed array of a process slower. */
  #grow(): void {
    const used = this.#pages % SLAB_PAGES
    const share = Math.floor(this.#pages / STEP_SHARE)
    const step = Math.max(STEP_PAGES_MIN, share, this.#reserved - this.#pages)
    const pages = Math.min(SLAB_PAGES, used + step)
    const slab = new Int32Array(pages * PAGE_WORDS)
    if (used > 0) {
      slab.set(this.#words.pop()!)
      this.#slots.pop()
    }
    this.#words.push(slab)
    this.#slots.push(new Uint16Array(slab.buffer))
    this.#pages += pages - used
  }
}
