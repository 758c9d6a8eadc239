import type { BucketNumbers } from './bucket-numbers.ts'
import {
  bucketOf,
  depthOf,
  extraOf,
  GROUP_SHIFT,
  ID_WORDS,
  indexPagesOf,
  isNumbered,
  mask0Of,
  shapeOf,
  word0Of,
  word2Of,
} from './id-shape.ts'
import {
  indexPagesFor,
  link,
  linkPage,
  MADE,
  MADE_WORDS,
  openIndex,
  OTHER_MADE,
  OTHER_MADE_WORDS,
} from './id-index.ts'
import { PAGE_WORDS, PageStore } from './page-store.ts'
import { grown } from '../typed-growth.ts'

export const PAGE_IDS = PAGE_WORDS / ID_WORDS
const PAGE_IDS_SHIFT = 5
const GROUP_IDS = 1 << GROUP_SHIFT
const ID_PAGES_MAX = 31
const SEGMENT_IDS_MAX = ID_PAGES_MAX * PAGE_IDS

/**
 * A segment's record, half a line of the cache: how many ids; its shape; where the next id goes, in
 * words; the pages of its index. The pages of its ids stand in a table apart.
 */
export const COUNT = 0
export const SHAPE = 1
export const TAIL = 2
export const INDEX = 3
export const RECORD_WORDS = 8
const ID_PAGES_SHIFT = 2
/** The tail of a segment whose last page is full: no segment has the page at 0. */
export const NO_TAIL = 0

const DEPTH_MAX = 30
export const EXTRA_BITS_MAX = 14
/** Room for segments grows by a 32nd. */
const SEGMENTS_STEP_MIN = 2
const SEGMENTS_STEP_SHARE = 32
/** Of so many the indexes are made at once: some milliseconds. */
const SEGMENTS_PER_STEP = 256
const NONE = -1

/** The numbers of the dead ids of the segment that is being swept. */
const HOLES = new Int32Array(SEGMENT_IDS_MAX)
/** Ids on their way to another segment, until it has pages for them. */
const MOVED = new Int32Array(SEGMENT_IDS_MAX * ID_WORDS)
/** What loads made for the cache's sake gave, so that they are not optimised away. */
const SEEN = new Int32Array(1)

type RepackPlan = {
  base: number
  /** Of its own index and the other segment's. */
  indexPages: number
  otherPages: number
  /** Of the hash's first word: ids that have it move. */
  bit: number
  shape: number
  newShape: number
}

/**
 * Ids by the first bits of their hash, in segments of at most 992 (extendible hashing). A segment is
 * a list of pages of ids in no order, and an index into them by linear probing, whose slots
 * have 16 bits because a segment is small: 16 bytes an id, and 2.3 to 3.1 of index. Whatever has to be
 * made anew is never more than one segment, which takes some tens of microseconds.
 */
export class IdSegments {
  readonly ids = new PageStore()
  /** Apart from the ids, so that look-ups stay within a sixth of the memory. */
  readonly indexes = new PageStore()
  records = new Int32Array(2 * RECORD_WORDS)
  /** Segment by the first bits of the hash, those before `shift`. */
  directory = new Int32Array([0, 1])
  shift = 31
  #idPages = new Int32Array((2 * RECORD_WORDS) << ID_PAGES_SHIFT)
  #segments = 2
  /** Of the segment that is being written anew: how many ids stay so far, and how many are moved. */
  #stayed = 0
  #moved = 0
  /** Pages that a segment's index has at least, because so many ids are coming. */
  #indexPagesMin = 1
  /** False while ids come that nobody looks for: no page of an index is made for them. */
  #areIndexed = true
  readonly #buckets: BucketNumbers

  constructor(buckets: BucketNumbers) {
    this.#buckets = buckets
    for (const segment of [0, 1]) this.records[segment * RECORD_WORDS + SHAPE] = shapeOf(0, 1, 0)
    // What a segment without pages is taken to begin with when it is touched.
    this.ids.alloc()
    this.indexes.alloc()
  }

  get size(): number {
    return this.#segments
  }

  get byteLength(): number {
    const records = this.records.byteLength + this.#idPages.byteLength
    return this.ids.byteLength + this.indexes.byteLength + records + this.directory.byteLength
  }

  /** Makes empty segments for so many ids to come: then little has to be made anew for them. */
  reserve(count: number): void {
    while (count > this.#segments * SEGMENT_IDS_MAX) {
      for (let segment = this.#segments - 1; segment >= 0; segment--) this.#split(segment)
    }
    const perSegment = count / this.#segments
    this.#indexPagesMin = indexPagesFor(perSegment + PAGE_IDS)
    this.ids.reserve(Math.ceil((perSegment / PAGE_IDS + 0.5) * this.#segments))
    this.indexes.reserve(this.#indexPagesMin * this.#segments)
  }

  /** All ids that were reserved for are there. */
  endReserve(): void {
    this.#indexPagesMin = 1
  }

  /** Is there a page for the next id, and can an id say the number of its bucket? */
  hasRoom(segment: number, bucket: number): boolean {
    const base = segment * RECORD_WORDS
    return this.records[base + TAIL] !== NO_TAIL && isNumbered(this.records[base + SHAPE]!, bucket)
  }

  /** Brings a segment nearer to having room: which one an id belongs to may be another one then. */
  makeRoom(segment: number, bucket: number): void {
    const base = segment * RECORD_WORDS
    const shape = this.records[base + SHAPE]!
    const count = this.records[base + COUNT]!
    if (count === SEGMENT_IDS_MAX && this.#buckets.areDead && this.sweep(segment)) {
      // With less room than a page it would soon be here again.
      if (this.records[base + COUNT]! <= SEGMENT_IDS_MAX - PAGE_IDS) return
    }
    if (!isNumbered(shape, bucket) && extraOf(shape) < EXTRA_BITS_MAX) {
      this.#repack(base, NONE, extraOf(shape) + 1)
    } else if (!isNumbered(shape, bucket) || count === SEGMENT_IDS_MAX) {
      this.#split(segment)
    } else {
      const page = this.ids.alloc()
      this.#idPages[(base << ID_PAGES_SHIFT) + (count >>> PAGE_IDS_SHIFT)] = page
      this.records[base + TAIL] = page * PAGE_WORDS
      const indexPages = this.#indexPagesOf(count + 1)
      if (this.#areIndexed && indexPages > indexPagesOf(shape)) this.#reindex(base, indexPages)
    }
  }

  /** Ids that are appended from here on are not in any index. */
  holdIndexes(): void {
    this.#areIndexed = false
  }

  /** Makes all indexes anew, so many segments a step. */
  *makeIndexes(): Generator<void> {
    this.#areIndexed = true
    for (let segment = 0; segment < this.#segments; segment++) {
      const base = segment * RECORD_WORDS
      this.#reindex(base, this.#indexPagesOf(this.records[base + COUNT]!))
      if (segment % SEGMENTS_PER_STEP === SEGMENTS_PER_STEP - 1) yield
    }
  }

  /** How many pages an index has for so many ids: enough for all that fit in their pages. */
  #indexPagesOf(count: number): number {
    if (count === 0) return 0
    const room = Math.ceil(count / PAGE_IDS) * PAGE_IDS
    return Math.max(this.#indexPagesMin, indexPagesFor(room))
  }

  /** Makes a segment's index anew, of so many pages. */
  #reindex(base: number, indexPages: number): void {
    const count = this.records[base + COUNT]!
    openIndex(MADE, indexPages)
    this.#touch(base, count)
    for (let number = 0; number < count; number += PAGE_IDS) {
      const start = this.placeOf(base, number)
      const ids = Math.min(PAGE_IDS, count - number)
      linkPage(this.ids.slabOf(start), this.ids.placeOf(start), number, ids, indexPages)
    }
    this.#writeIndex(base, MADE_WORDS, indexPages)
  }

  /** Writes an index that was made to a segment's pages: new ones besides, or fewer. */
  #writeIndex(base: number, made: Int32Array, indexPages: number): void {
    const records = this.records
    const shape = records[base + SHAPE]!
    const before = indexPagesOf(shape)
    for (let i = indexPages; i < before; i++) this.indexes.free(records[base + INDEX + i]!)
    for (let i = before; i < indexPages; i++) records[base + INDEX + i] = this.indexes.alloc()
    records[base + SHAPE] = shapeOf(indexPages, depthOf(shape), extraOf(shape))
    for (let i = 0; i < indexPages; i++) {
      const start = records[base + INDEX + i]! * PAGE_WORDS
      copyPage(made, i * PAGE_WORDS, this.indexes.slabOf(start), this.indexes.placeOf(start))
    }
  }

  /** Cuts a segment in two by one more bit of the hash. Throws when there is none left. */
  #split(segment: number): void {
    const base = segment * RECORD_WORDS
    const shape = this.records[base + SHAPE]!
    const depth = depthOf(shape)
    if (depth === DEPTH_MAX) throw new RangeError('more ids of like hashes than can be remembered')
    const other = this.#addSegment()
    this.records[other * RECORD_WORDS + SHAPE] = shapeOf(0, depth + 1, extraOf(shape))
    this.#pointTo(segment, other, depth)
    this.#repack(base, other * RECORD_WORDS, extraOf(shape))
  }

  /** Lets the second half of the directory's entries of a segment point to `other`. */
  #pointTo(segment: number, other: number, depth: number): void {
    if (this.shift === 32 - depth) {
      const doubled = new Int32Array(2 * this.directory.length)
      for (let i = 0; i < doubled.length; i++) doubled[i] = this.directory[i >>> 1]!
      this.directory = doubled
      this.shift--
    }
    const first = this.directory.indexOf(segment)
    const entries = this.directory.length >>> depth
    this.directory.fill(other, first + entries / 2, first + entries)
  }

  #addSegment(): number {
    if ((this.#segments + 1) * RECORD_WORDS > this.records.length) {
      const step = Math.max(SEGMENTS_STEP_MIN, Math.floor(this.#segments / SEGMENTS_STEP_SHARE))
      const words = (this.#segments + step) * RECORD_WORDS
      this.records = grown(this.records, new Int32Array(words))
      this.#idPages = grown(this.#idPages, new Int32Array(words << ID_PAGES_SHIFT))
    }
    return this.#segments++
  }

  /**
   * Writes a segment's ids anew, without those of dead buckets, and with so many extra bits for the
   * numbers of buckets; those with the next bit of the hash go to the empty segment at `other`, if it
   * is not NONE. A segment's own ids are written behind where they are read.
   */
  #repack(base: number, other: number, extra: number): void {
    const records = this.records
    const shape = records[base + SHAPE]!
    const depth = depthOf(shape)
    const bit = other === NONE ? 0 : 1 << (31 - depth)
    const total = records[base + COUNT]!
    this.#touch(base, total)
    const live = this.#countLive(base, 0)
    const moving = bit === 0 ? 0 : this.#countLive(base, bit)
    const indexPages = indexPagesFor(live - moving)
    const otherPages = indexPagesFor(moving)
    openIndex(MADE, indexPages)
    openIndex(OTHER_MADE, otherPages)
    const newShape = shapeOf(indexPagesOf(shape), bit === 0 ? depth : depth + 1, extra)
    records[base + SHAPE] = newShape
    const plan = { base, indexPages, otherPages, bit, shape, newShape }
    this.#stayed = 0
    this.#moved = 0
    for (let number = 0; number < total; number += PAGE_IDS) {
      this.#repackPage(this.placeOf(base, number), Math.min(PAGE_IDS, total - number), plan)
    }
    const stayed = this.#stayed
    const moved = this.#moved
    this.#freeIdPages(base, stayed, total)
    this.#setCount(base, stayed)
    this.#writeIndex(base, MADE_WORDS, indexPages)
    if (other === NONE) return
    this.#putMoved(other, moved)
    this.#setCount(other, moved)
    this.#writeIndex(other, OTHER_MADE_WORDS, otherPages)
  }

  /** Small enough to be optimised early: it takes most of the time that growth takes. */
  #repackPage(start: number, count: number, plan: RepackPlan): void {
    const { base, indexPages, otherPages, bit, shape, newShape } = plan
    const hasDead = this.#buckets.areDead
    const slab = this.ids.slabOf(start)
    let stayed = this.#stayed
    let moved = this.#moved
    let to = stayed % PAGE_IDS === 0 ? 0 : this.placeOf(base, stayed)
    let toSlab = this.ids.slabOf(to)
    to = this.ids.placeOf(to)
    let place = this.ids.placeOf(start)
    for (const end = place + count * ID_WORDS; place < end; place += ID_WORDS) {
      const word0 = slab[place]!
      const word2 = slab[place + 2]!
      const bucket = bucketOf(word0, word2, shape)
      if (hasDead && this.#buckets.dead[bucket] === 1) continue
      const h1 = slab[place + 1]!
      const payload = slab[place + 3]!
      const new0 = word0Of(word0, newShape, bucket)
      const new2 = word2Of(word2, newShape, bucket)
      if ((word0 & bit) !== 0) {
        putId(MOVED, moved * ID_WORDS, new0, h1, new2, payload)
        link(OTHER_MADE, otherPages, h1, moved++)
        continue
      }
      if (stayed % PAGE_IDS === 0) {
        const next = this.placeOf(base, stayed)
        toSlab = this.ids.slabOf(next)
        to = this.ids.placeOf(next)
      }
      putId(toSlab, to, new0, h1, new2, payload)
      to += ID_WORDS
      link(MADE, indexPages, h1, stayed++)
    }
    this.#stayed = stayed
    this.#moved = moved
  }

  /** Writes the ids that were moved out to pages of an empty segment. */
  #putMoved(base: number, count: number): void {
    for (let number = 0; number < count; number += PAGE_IDS) {
      const page = this.ids.alloc()
      this.#idPages[(base << ID_PAGES_SHIFT) + (number >>> PAGE_IDS_SHIFT)] = page
      const start = page * PAGE_WORDS
      copyPage(MOVED, number * ID_WORDS, this.ids.slabOf(start), this.ids.placeOf(start))
    }
  }

  /** How many of a segment's ids live, and have `bit` if it is not 0. */
  #countLive(base: number, bit: number): number {
    const shape = this.records[base + SHAPE]!
    const count = this.records[base + COUNT]!
    const hasDead = this.#buckets.areDead
    if (!hasDead && bit === 0) return count
    let live = 0
    for (let number = 0; number < count;) {
      const start = this.placeOf(base, number)
      const slab = this.ids.slabOf(start)
      const end = Math.min(number + PAGE_IDS, count)
      for (let place = this.ids.placeOf(start); number < end; number++, place += ID_WORDS) {
        const word0 = slab[place]!
        if (hasDead && this.#buckets.dead[bucketOf(word0, slab[place + 2]!, shape)] === 1) continue
        live += bit === 0 || (word0 & bit) !== 0 ? 1 : 0
      }
    }
    return live
  }

  #freeIdPages(base: number, kept: number, before: number): void {
    const first = Math.ceil(kept / PAGE_IDS)
    for (let i = first; i * PAGE_IDS < before; i++) {
      this.ids.free(this.#idPages[(base << ID_PAGES_SHIFT) + i]!)
    }
  }

  #setCount(base: number, count: number): void {
    this.records[base + COUNT] = count
    this.records[base + TAIL] = count % PAGE_IDS === 0 ? NO_TAIL : this.placeOf(base, count)
  }

  /** Where a segment's id stands, in words from the first page on. */
  placeOf(base: number, number: number): number {
    const page = this.#idPages[(base << ID_PAGES_SHIFT) + (number >>> PAGE_IDS_SHIFT)]!
    return page * PAGE_WORDS + (number & (PAGE_IDS - 1)) * ID_WORDS
  }

  /** Loads a segment's ids into the cache, line by line: misses that overlap. */
  #touch(base: number, count: number): void {
    let seen = 0
    for (let number = 0; number < count; number += GROUP_IDS) {
      const place = this.placeOf(base, number)
      seen ^= this.ids.slabOf(place)[this.ids.placeOf(place)]!
    }
    SEEN[0] = seen
  }

  /**
   * Takes the ids of dead buckets out of a segment and moves others from its end into their places;
   * false when there are none.
   */
  sweep(segment: number): boolean {
    const base = segment * RECORD_WORDS
    const count = this.records[base + COUNT]!
    let holes = this.#findDead(base, count)
    if (holes === 0) return false
    let live = count
    while (holes > 0) {
      const hole = HOLES[--holes]!
      if (hole !== --live) this.#moveId(base, live, hole)
    }
    this.#freeIdPages(base, live, count)
    this.#setCount(base, live)
    // A page of the index goes when two pages of ids could come back first.
    const enough = this.#indexPagesOf(live + 2 * PAGE_IDS)
    const indexPages = Math.min(indexPagesOf(this.records[base + SHAPE]!), enough)
    if (this.#areIndexed) this.#reindex(base, indexPages)
    return true
  }

  /** Puts the numbers of a segment's dead ids into HOLES, ascending; gives how many there are. */
  #findDead(base: number, count: number): number {
    const shape = this.records[base + SHAPE]!
    const { dead } = this.#buckets
    let holes = 0
    this.#touch(base, count)
    for (let number = 0; number < count;) {
      const start = this.placeOf(base, number)
      const slab = this.ids.slabOf(start)
      const end = Math.min(number + PAGE_IDS, count)
      for (let place = this.ids.placeOf(start); number < end; number++, place += ID_WORDS) {
        if (dead[bucketOf(slab[place]!, slab[place + 2]!, shape)] === 1) HOLES[holes++] = number
      }
    }
    return holes
  }

  #moveId(base: number, from: number, to: number): void {
    const [source, target] = [this.placeOf(base, from), this.placeOf(base, to)]
    const slab = this.ids.slabOf(source)
    const place = this.ids.placeOf(source)
    const [word0, h1] = [slab[place]!, slab[place + 1]!]
    const [word2, payload] = [slab[place + 2]!, slab[place + 3]!]
    putId(this.ids.slabOf(target), this.ids.placeOf(target), word0, h1, word2, payload)
  }

  /** Every id that lives, with the number of its bucket and all bits of its hash that are certain. */
  forEach(visit: (bucket: number, words: Int32Array) => void): void {
    const words = new Int32Array(ID_WORDS)
    for (let segment = 0; segment < this.#segments; segment++) {
      const base = segment * RECORD_WORDS
      const shape = this.records[base + SHAPE]!
      const shared = this.directory.indexOf(segment) << this.shift
      for (let number = 0; number < this.records[base + COUNT]!; number++) {
        const start = this.placeOf(base, number)
        const place = this.ids.placeOf(start)
        words.set(this.ids.slabOf(start).subarray(place, place + ID_WORDS))
        const bucket = bucketOf(words[0]!, words[2]!, shape)
        if (this.#buckets.dead[bucket] === 1) continue
        words[0] = (words[0]! & mask0Of(shape)) | (shared & ~mask0Of(shape))
        words[2]! &= -1 << EXTRA_BITS_MAX
        visit(bucket, words)
      }
    }
  }
}

function putId(
  words: Int32Array,
  at: number,
  word0: number,
  h1: number,
  word2: number,
  payload: number,
): void {
  words[at] = word0
  words[at + 1] = h1
  words[at + 2] = word2
  words[at + 3] = payload
}

function copyPage(from: Int32Array, at: number, to: Int32Array, toAt: number): void {
  for (let i = 0; i < PAGE_WORDS; i++) to[toAt + i] = from[at + i]!
}
