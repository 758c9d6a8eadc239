import { PAGE_WORDS } from './page-store.ts'

export const ID_WORDS = 4
/** Ids whose 64 bytes are one line of the processor's cache: an index says where, not which. */
export const GROUP_SHIFT = 2
export const INDEX_PAGE_SLOTS = 2 * PAGE_WORDS
export const INDEX_PAGE_SLOTS_SHIFT = 8
/** A slot of an index: 8 bits of group number + 1, and 8 of the hash as a tag; 0 is empty. */
export const TAG_BITS = 8
export const TAG_MASK = (1 << TAG_BITS) - 1

/*
 * The shape of a segment, in one word: pages of its index (3 bits) | depth (5) | extra. Depth is how
 * many first bits of the hash its ids share; they need not be stored, so an id has its bucket's number
 * there. Extra is how many bits the number takes from the third word besides, when buckets are more
 * than depth can number.
 */
const PAGES_MASK = 7
const DEPTH_SHIFT = 3
const DEPTH_MASK = 31
const EXTRA_SHIFT = 8

export function shapeOf(indexPages: number, depth: number, extra: number): number {
  return indexPages | (depth << DEPTH_SHIFT) | (extra << EXTRA_SHIFT)
}

export function indexPagesOf(shape: number): number {
  return shape & PAGES_MASK
}

export function depthOf(shape: number): number {
  return (shape >>> DEPTH_SHIFT) & DEPTH_MASK
}

export function extraOf(shape: number): number {
  return shape >>> EXTRA_SHIFT
}

/** True when an id of such a segment can say the number of its bucket. */
export function isNumbered(shape: number, bucket: number): boolean {
  return bucket >>> Math.min(31, depthOf(shape) + extraOf(shape)) === 0
}

/** The bits of an id's first and third word that are the hash's. */
export function mask0Of(shape: number): number {
  return -1 >>> depthOf(shape)
}

export function mask2Of(shape: number): number {
  return -1 << extraOf(shape)
}

/** An id's words with its bucket's number in place of the bits that are not stored. */
export function word0Of(h0: number, shape: number, bucket: number): number {
  return (h0 & mask0Of(shape)) | ((bucket >>> extraOf(shape)) << (32 - depthOf(shape)))
}

export function word2Of(h2: number, shape: number, bucket: number): number {
  return (h2 & mask2Of(shape)) | (bucket & ~mask2Of(shape))
}

export function bucketOf(word0: number, word2: number, shape: number): number {
  return ((word0 >>> (32 - depthOf(shape))) << extraOf(shape)) | (word2 & ~mask2Of(shape))
}

/** The slot at which an id's search begins, of all slots of its segment's index: an even one. */
export function homeOf(h1: number, indexPages: number): number {
  return (Math.imul(h1 >>> 16, indexPages << INDEX_PAGE_SLOTS_SHIFT) >>> 16) & -2
}

export function slotOf(number: number, h1: number): number {
  return (((number >>> GROUP_SHIFT) + 1) << TAG_BITS) | (h1 & TAG_MASK)
}
