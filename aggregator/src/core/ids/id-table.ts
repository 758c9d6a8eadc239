import { BucketNumbers } from './bucket-numbers.ts'
import { IdBucketReader } from './id-bucket-reader.ts'
import {
  COUNT,
  IdSegments,
  INDEX,
  NO_TAIL,
  PAGE_IDS,
  RECORD_WORDS,
  SHAPE,
  TAIL,
} from './id-segments.ts'
import {
  bucketOf,
  GROUP_SHIFT,
  homeOf,
  ID_WORDS,
  indexPagesOf,
  mask0Of,
  mask2Of,
  INDEX_PAGE_SLOTS,
  INDEX_PAGE_SLOTS_SHIFT,
  slotOf,
  TAG_BITS,
  TAG_MASK,
  word0Of,
  word2Of,
} from './id-shape.ts'
import { PAGE_WORDS } from './page-store.ts'

export const NEW = 0
export const SAME = 1
export const OTHER_PAYLOAD = 2

const GROUP_IDS = 1 << GROUP_SHIFT
/** The same of both slots of a word, which is how they are looked at. */
const BOTH_TAGS = 0x00ff_00ff
const BOTH_LOWEST = 0x0001_0001
const BOTH_BORROWS = 0x0100_0100
const BOTH_HIGHEST = 0x8000_8000
/**
 * One segment is looked through for ids to forget with every so many inserted. That costs the same
 * for one as for many, and as long as they wait for it they take memory.
 */
const INSERTS_PER_SWEEP = 40
/** So many places are computed before they are touched: a short loop has more loads under way. */
const WARM_ROWS = 256
const NONE = -1

/** What loads made for the cache's sake gave, so that they are not optimised away. */
const SEEN = new Int32Array(1)
const HOMES = new Int32Array(WARM_ROWS)

/**
 * A set of ids of 96 bits of hash and 32 of payload, each in a bucket of ids that are forgotten
 * together: at once for whoever asks, while the memory is taken back segment by segment by the inserts
 * that follow. Nothing but `reserve` and a step of `endRestore` ever takes longer than some tens of
 * microseconds, however many ids there are.
 */
export class IdTable {
  readonly #buckets = new BucketNumbers()
  readonly #segments = new IdSegments(this.#buckets)
  #sweepAt = 0
  #inserts = 0
  /** Where `find` found no more to look at, and for which id: an insert that follows goes there. */
  #freeSlot = NONE
  #freeFor0 = 0
  #freeFor1 = 0

  get byteLength(): number {
    return this.#segments.byteLength + this.#buckets.dead.byteLength
  }

  /** The number of a new bucket. */
  dealBucket(): number {
    return this.#buckets.deal()
  }

  dropBucket(bucket: number): void {
    this.#buckets.drop(bucket)
  }

  /** Reads the ids of a bucket that gets no more of them. */
  bucketReader(bucket: number): IdBucketReader {
    return new IdBucketReader(this.#segments, bucket)
  }

  /** Makes room for so many ids at once, in a table that has few or none. */
  reserve(count: number): void {
    this.#freeSlot = NONE
    this.#segments.reserve(count)
  }

  endReserve(): void {
    this.#segments.endReserve()
  }

  /** Every id that lives, with the number of its bucket; of the third word without the last 14 bits. */
  forEach(visit: (bucket: number, words: Int32Array) => void): void {
    this.#segments.forEach(visit)
  }

  /**
   * Touches the indexes where the first `count` ids will be looked for; not for those whose lane is
   * not negative. These loads do not wait for one another, so the cache misses of a batch overlap,
   * and what follows finds its lines there.
   */
  warm(words: Int32Array, lanes: Int32Array, count: number): void {
    const { indexes } = this.#segments
    let seen = 0
    for (let row = 0; row < count; row += WARM_ROWS) {
      const located = this.#locate(words, lanes, row, Math.min(row + WARM_ROWS, count))
      for (let i = 0; i < located; i++) {
        const home = HOMES[i]!
        seen ^= indexes.slabOf(home)[indexes.placeOf(home)]!
      }
    }
    SEEN[0] = seen
  }

  /** Fills HOMES for the rows [start, end); gives how many have no lane. */
  #locate(words: Int32Array, lanes: Int32Array, start: number, end: number): number {
    const { records, directory, shift } = this.#segments
    let located = 0
    for (let row = start; row < end; row++) {
      if (lanes[row]! >= 0) continue
      const at = row * ID_WORDS
      const base = directory[words[at]! >>> shift]! * RECORD_WORDS
      const home = homeOf(words[at + 1]!, indexPagesOf(records[base + SHAPE]!))
      const page = records[base + INDEX + (home >>> INDEX_PAGE_SLOTS_SHIFT)]!
      HOMES[located++] = page * PAGE_WORDS + ((home & (INDEX_PAGE_SLOTS - 1)) >>> 1)
    }
    return located
  }

  /**
   * Looks for `words[at, at + 3)` with the payload `words[at + 3]`: NEW, SAME or OTHER_PAYLOAD. Two
   * slots at a time: one test tells that neither is empty nor has the tag.
   */
  find(words: Int32Array, at: number): number {
    const h1 = words[at + 1]!
    const { records, directory, shift, indexes } = this.#segments
    const base = directory[words[at]! >>> shift]! * RECORD_WORDS
    const indexPages = indexPagesOf(records[base + SHAPE]!)
    this.#freeSlot = NONE
    if (indexPages === 0) return NEW
    const tag = h1 & TAG_MASK
    const tags = tag | (tag << 16)
    const home = homeOf(h1, indexPages)
    let indexPage = home >>> INDEX_PAGE_SLOTS_SHIFT
    let pair = (home & (INDEX_PAGE_SLOTS - 1)) >>> 1
    for (;;) {
      const start = records[base + INDEX + indexPage]! * PAGE_WORDS
      const slab = indexes.slabOf(start)
      const first = indexes.placeOf(start)
      for (; pair < PAGE_WORDS; pair++) {
        const two = slab[first + pair]!
        const differ = ((two ^ tags) & BOTH_TAGS) - BOTH_LOWEST
        const empty = (two - BOTH_LOWEST) & ~two
        if (((differ & BOTH_BORROWS) | (empty & BOTH_HIGHEST)) === 0) continue
        const low = two & 0xffff
        if (low === 0) return this.#isNew(2 * (start + pair), words, at)
        if ((low & TAG_MASK) === tag) {
          const found = this.#compare(base, (low >>> TAG_BITS) - 1, words, at)
          if (found !== NEW) return found
        }
        const high = two >>> 16
        if (high === 0) return this.#isNew(2 * (start + pair) + 1, words, at)
        if ((high & TAG_MASK) !== tag) continue
        const found = this.#compare(base, (high >>> TAG_BITS) - 1, words, at)
        if (found !== NEW) return found
      }
      pair = 0
      if (++indexPage === indexPages) indexPage = 0
    }
  }

  #isNew(slot: number, words: Int32Array, at: number): number {
    this.#freeSlot = slot
    this.#freeFor0 = words[at]!
    this.#freeFor1 = words[at + 1]!
    return NEW
  }

  /** Looks for an id in one group of its segment. */
  #compare(base: number, group: number, words: Int32Array, at: number): number {
    const { records, ids } = this.#segments
    const first = group << GROUP_SHIFT
    const start = this.#segments.placeOf(base, first)
    const slab = ids.slabOf(start)
    const end = Math.min(GROUP_IDS, records[base + COUNT]! - first)
    const shape = records[base + SHAPE]!
    for (let i = 0, place = ids.placeOf(start); i < end; i++, place += ID_WORDS) {
      if (slab[place + 1] !== words[at + 1]) continue
      const word0 = slab[place]!
      const word2 = slab[place + 2]!
      if (((word0 ^ words[at]!) & mask0Of(shape)) !== 0) continue
      if (((word2 ^ words[at + 2]!) & mask2Of(shape)) !== 0) continue
      if (this.#buckets.dead[bucketOf(word0, word2, shape)] === 1) continue
      return slab[place + 3] === words[at + 3] ? SAME : OTHER_PAYLOAD
    }
    return NEW
  }

  /** Adds an id that is not there; quickest behind the `find` that said so. */
  insert(bucket: number, words: Int32Array, at: number): void {
    const base = this.#append(bucket, words, at)
    const { records, indexes } = this.#segments
    const [h0, h1] = [words[at]!, words[at + 1]!]
    const isFound = this.#freeSlot !== NONE && this.#freeFor0 === h0 && this.#freeFor1 === h1
    const slot = isFound ? this.#freeSlot : this.#freeSlotOf(base, h1)
    indexes.slotsOf(slot)[indexes.slotPlaceOf(slot)] = slotOf(records[base + COUNT]! - 1, h1)
    this.#freeSlot = NONE
  }

  /** From here on ids are restored, and none is found or inserted. */
  beginRestore(): void {
    this.#freeSlot = NONE
    this.#segments.holdIndexes()
  }

  /** Adds the first `count` ids, none of which is there. */
  restore(bucket: number, words: Int32Array, count: number): void {
    const end = count * ID_WORDS
    for (let at = 0; at < end; at += ID_WORDS) this.#append(bucket, words, at)
  }

  /** Makes them to be found, some hundred thousand ids a step. */
  *endRestore(): Generator<void> {
    yield* this.#segments.makeIndexes()
    this.#segments.endReserve()
  }

  /** Puts an id to the others of its segment; gives where that one's record is. */
  #append(bucket: number, words: Int32Array, at: number): number {
    if (this.#buckets.areDead && ++this.#inserts % INSERTS_PER_SWEEP === 0) this.#sweepNext()
    const segments = this.#segments
    const h0 = words[at]!
    let segment = segments.directory[h0 >>> segments.shift]!
    while (!segments.hasRoom(segment, bucket)) {
      segments.makeRoom(segment, bucket)
      this.#freeSlot = NONE
      segment = segments.directory[h0 >>> segments.shift]!
    }
    const { records, ids } = segments
    const base = segment * RECORD_WORDS
    const count = records[base + COUNT]!
    const shape = records[base + SHAPE]!
    const tail = records[base + TAIL]!
    const slab = ids.slabOf(tail)
    const place = ids.placeOf(tail)
    slab[place] = word0Of(h0, shape, bucket)
    slab[place + 1] = words[at + 1]!
    slab[place + 2] = word2Of(words[at + 2]!, shape, bucket)
    slab[place + 3] = words[at + 3]!
    records[base + COUNT] = count + 1
    records[base + TAIL] = (count + 1) % PAGE_IDS === 0 ? NO_TAIL : tail + ID_WORDS
    return base
  }

  /** The first empty slot from an id's home on. */
  #freeSlotOf(base: number, h1: number): number {
    const { records, indexes } = this.#segments
    const indexPages = indexPagesOf(records[base + SHAPE]!)
    const home = homeOf(h1, indexPages)
    let indexPage = home >>> INDEX_PAGE_SLOTS_SHIFT
    let slot = home & (INDEX_PAGE_SLOTS - 1)
    for (;;) {
      const start = records[base + INDEX + indexPage]! * INDEX_PAGE_SLOTS
      const slots = indexes.slotsOf(start)
      const first = indexes.slotPlaceOf(start)
      for (; slot < INDEX_PAGE_SLOTS; slot++) {
        if (slots[first + slot] === 0) return start + slot
      }
      slot = 0
      if (++indexPage === indexPages) indexPage = 0
    }
  }

  #sweepNext(): void {
    this.#freeSlot = NONE
    this.#segments.sweep(this.#sweepAt++)
    if (this.#sweepAt < this.#segments.size) return
    this.#buckets.endSweep()
    this.#sweepAt = 0
  }
}
