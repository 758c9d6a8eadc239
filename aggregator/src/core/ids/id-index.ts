import { homeOf, ID_WORDS, INDEX_PAGE_SLOTS, INDEX_PAGE_SLOTS_SHIFT, slotOf } from './id-shape.ts'

const INDEX_PAGES_MAX = 5
/** A page more when they are fuller: 87 %, beyond which a look-up has too many slots to pass. */
const INDEX_PAGE_FILL_MAX = 224

/*
 * Indexes are made here, all tables' by turns, and copied to their pages before the call that made
 * them returns: the own one of the segment that is written anew, and that of its other half.
 */
export const MADE = new Uint16Array(INDEX_PAGES_MAX * INDEX_PAGE_SLOTS)
export const MADE_WORDS = new Int32Array(MADE.buffer)
export const OTHER_MADE = new Uint16Array(INDEX_PAGES_MAX * INDEX_PAGE_SLOTS)
export const OTHER_MADE_WORDS = new Int32Array(OTHER_MADE.buffer)

/** How many pages the index of so many ids has. */
export function indexPagesFor(count: number): number {
  return Math.min(INDEX_PAGES_MAX, Math.ceil(count / INDEX_PAGE_FILL_MAX))
}

/** Begins an index: no id is in it. */
export function openIndex(made: Uint16Array, indexPages: number): void {
  made.fill(0, 0, indexPages << INDEX_PAGE_SLOTS_SHIFT)
}

/** Adds the ids of a page, numbered from `number` on, to the index that is being made. */
export function linkPage(
  slab: Int32Array,
  place: number,
  number: number,
  ids: number,
  indexPages: number,
): void {
  for (let i = 0; i < ids; i++) {
    link(MADE, indexPages, slab[place + i * ID_WORDS + 1]!, number + i)
  }
}

/** Adds one id, by the second word of its hash and its number in the segment. */
export function link(made: Uint16Array, indexPages: number, h1: number, number: number): void {
  const end = indexPages << INDEX_PAGE_SLOTS_SHIFT
  let slot = homeOf(h1, indexPages)
  while (made[slot] !== 0) {
    if (++slot === end) slot = 0
  }
  made[slot] = slotOf(number, h1)
}
