const CHUNK_IDS = 64
const SLAB_IDS = 4096
const SLAB_SHIFT = 12
/** The first slabs grow in steps, so that few ids take little: one of them may be half empty. */
const SLABS_GROWN_MAX = 16
const SLAB_IDS_STEP = 256
export const ID_WORDS = 4

/** Index words: 6 bits of the hash as a tag, 26 bits of entry number + 1; 0 is empty. */
const TAG_SHIFT = 26
const ENTRY_MASK = (1 << TAG_SHIFT) - 1
const TAG_MASK = 63
const TOMBSTONE = -1
/** With all tag bits set an entry number of all ones would look like a tombstone, so it is not dealt. */
export const IDS_PER_PARTITION_MAX = ENTRY_MASK - 1

/** Fuller than this a miss probes too long; emptier than LOAD_GROWN an id costs more than 24 bytes. */
const LOAD_MAX = 0.8
const LOAD_GROWN = 0.6
const INDEX_INITIAL = 256

export const NEW = 0
export const SAME = 1
export const OTHER_PAYLOAD = 2

/** The ids of one counter whose first copy's `at` lies in one epoch-aligned stretch of time. */
export type IdBucket = {
  counter: number
  /** All `at` in it are below; epoch milliseconds. */
  end: number
  /** First offset of the first commit that has ids of this bucket. */
  firstOffset: number
  count: number
  /** How many of them are in commits already. */
  saved: number
  chunks: number[]
}

/**
 * The remembered ids of one partition: 128 bits each, 96 of the identity's hash and 32 of the
 * payload's. Ids lie in chunks, a chain of them per bucket, so that a bucket expires as a whole;
 * one index finds an id whatever bucket it is in, so that a look-up of an unknown id, the common
 * case, costs one cache miss however many buckets live. 16 bytes an id, and 5 to 6.7 of index:
 * under 24 with growth, since the index is dropped before it is made again from the chunks.
 */
export class IdMemory {
  #slabs: Int32Array[] = []
  /** Ids that the slabs have room for. */
  #slabIds = 0
  #freeChunks: number[] = []
  #chunksDealt = 0
  #index = new Int32Array(INDEX_INITIAL)
  #live = 0
  #tombstones = 0
  readonly #buckets = new Map<number, IdBucket[]>()

  get size(): number {
    return this.#live
  }

  /** Bytes allocated for ids: slabs and index. */
  get byteLength(): number {
    return this.#slabIds * ID_WORDS * 4 + this.#index.byteLength
  }

  *buckets(): Generator<IdBucket> {
    for (const list of this.#buckets.values()) yield* list
  }

  /**
   * The live bucket of a counter that ends at `end`, made if it is not there yet. Ids are not always
   * brought back in the order of their commits, so the first offset may still go down.
   */
  bucket(counter: number, end: number, firstOffset: number): IdBucket {
    let list = this.#buckets.get(counter)
    if (list === undefined) this.#buckets.set(counter, (list = []))
    for (let i = list.length - 1; i >= 0; i--) {
      const bucket = list[i]!
      if (bucket.end !== end) continue
      bucket.firstOffset = Math.min(bucket.firstOffset, firstOffset)
      return bucket
    }
    const made = { counter, end, firstOffset, count: 0, saved: 0, chunks: [] }
    list.push(made)
    return made
  }

  /**
   * Touches the index where the next `count` ids of `words` will be looked for, but for those that
   * have a lane and are not looked for here. These loads do not wait for one another, so the cache
   * misses of a batch overlap, and the look-ups that follow find their lines there. Gives a number
   * that only keeps the loads from being optimised away.
   */
  warm(words: Int32Array, lanes: Int32Array, count: number): number {
    const index = this.#index
    const capacity = index.length
    let seen = 0
    for (let row = 0; row < count; row++) {
      if (lanes[row]! >= 0) continue
      seen ^= index[placeOf(words[ID_WORDS * row]!, capacity)]!
    }
    return seen
  }

  /**
   * Looks for the id `words[at, at + 3)` with the payload digest `words[at + 3]`, in all buckets.
   * Gives NEW, SAME or OTHER_PAYLOAD and changes nothing.
   */
  find(words: Int32Array, at: number): number {
    const h0 = words[at]!
    const h1 = words[at + 1]!
    const h2 = words[at + 2]!
    const index = this.#index
    const capacity = index.length
    const tag = h1 & TAG_MASK
    for (let place = placeOf(h0, capacity); ; place = place + 1 === capacity ? 0 : place + 1) {
      const word = index[place]!
      if (word === 0) return NEW
      if (word >>> TAG_SHIFT !== tag || word === TOMBSTONE) continue
      const entry = (word & ENTRY_MASK) - 1
      const slab = this.#slabs[entry >>> SLAB_SHIFT]!
      const base = (entry & (SLAB_IDS - 1)) * ID_WORDS
      if (slab[base] === h0 && slab[base + 1] === h1 && slab[base + 2] === h2) {
        return slab[base + 3] === words[at + 3] ? SAME : OTHER_PAYLOAD
      }
    }
  }

  /** Remembers an id that `find` called NEW. Asserts the partition's bound. */
  insert(bucket: IdBucket, words: Int32Array, at: number): void {
    if (this.#live + this.#tombstones + 1 > this.#index.length * LOAD_MAX) this.#reindex()
    const used = bucket.count % CHUNK_IDS
    if (used === 0) bucket.chunks.push(this.#dealChunk())
    const entry = bucket.chunks[bucket.chunks.length - 1]! * CHUNK_IDS + used
    const slab = this.#slabs[entry >>> SLAB_SHIFT]!
    const base = (entry & (SLAB_IDS - 1)) * ID_WORDS
    slab[base] = words[at]!
    slab[base + 1] = words[at + 1]!
    slab[base + 2] = words[at + 2]!
    slab[base + 3] = words[at + 3]!
    bucket.count++
    this.#live++
    this.#link(entry, words[at]!, words[at + 1]!)
  }

  /** Forgets the buckets of a counter that end at or before `time`. */
  expire(counter: number, time: number): void {
    const list = this.#buckets.get(counter)
    if (list === undefined) return
    for (let i = list.length - 1; i >= 0; i--) {
      if (list[i]!.end > time) continue
      this.#drop(list[i]!)
      list.splice(i, 1)
    }
  }

  /** The end of the counter's bucket that expires first; Infinity when it has none. */
  firstEnd(counter: number): number {
    let first = Infinity
    for (const bucket of this.#buckets.get(counter) ?? []) first = Math.min(first, bucket.end)
    return first
  }

  /** Copies the ids of a bucket from number `from` on into `out` at byte `at`; gives the end. */
  copyIds(bucket: IdBucket, from: number, out: Uint8Array, at: number): number {
    let end = at
    for (let i = from; i < bucket.count;) {
      const used = i % CHUNK_IDS
      const count = Math.min(CHUNK_IDS - used, bucket.count - i)
      const entry = bucket.chunks[Math.floor(i / CHUNK_IDS)]! * CHUNK_IDS + used
      const slab = this.#slabs[entry >>> SLAB_SHIFT]!
      const bytes = count * ID_WORDS * 4
      const offset = slab.byteOffset + (entry & (SLAB_IDS - 1)) * ID_WORDS * 4
      out.set(new Uint8Array(slab.buffer, offset, bytes), end)
      end += bytes
      i += count
    }
    return end
  }

  #dealChunk(): number {
    const free = this.#freeChunks.pop()
    if (free !== undefined) return free
    if (this.#chunksDealt * CHUNK_IDS >= IDS_PER_PARTITION_MAX - CHUNK_IDS) {
      throw new RangeError(`more than ${IDS_PER_PARTITION_MAX} ids in one partition's lateness`)
    }
    if (this.#chunksDealt * CHUNK_IDS === this.#slabIds) this.#growSlabs()
    return this.#chunksDealt++
  }

  #growSlabs(): void {
    const used = this.#slabIds % SLAB_IDS
    const step = this.#slabs.length > SLABS_GROWN_MAX ? SLAB_IDS : SLAB_IDS_STEP
    const ids = Math.min(SLAB_IDS, used + step)
    const slab = new Int32Array(ids * ID_WORDS)
    if (used > 0) slab.set(this.#slabs.pop()!)
    this.#slabs.push(slab)
    this.#slabIds += ids - used
  }

  #drop(bucket: IdBucket): void {
    for (let i = 0; i < bucket.count; i++) {
      const entry = bucket.chunks[Math.floor(i / CHUNK_IDS)]! * CHUNK_IDS + (i % CHUNK_IDS)
      const slab = this.#slabs[entry >>> SLAB_SHIFT]!
      const base = (entry & (SLAB_IDS - 1)) * ID_WORDS
      this.#unlink(entry, slab[base]!, slab[base + 1]!)
    }
    for (const chunk of bucket.chunks) this.#freeChunks.push(chunk)
    this.#live -= bucket.count
    this.#tombstones += bucket.count
  }

  #link(entry: number, h0: number, h1: number): void {
    const index = this.#index
    let place = placeOf(h0, index.length)
    while (index[place] !== 0 && index[place] !== TOMBSTONE) {
      place = place + 1 === index.length ? 0 : place + 1
    }
    if (index[place] === TOMBSTONE) this.#tombstones--
    index[place] = ((h1 & TAG_MASK) << TAG_SHIFT) | (entry + 1)
  }

  #unlink(entry: number, h0: number, h1: number): void {
    const index = this.#index
    const word = ((h1 & TAG_MASK) << TAG_SHIFT) | (entry + 1)
    let place = placeOf(h0, index.length)
    while (index[place] !== word) place = place + 1 === index.length ? 0 : place + 1
    index[place] = TOMBSTONE
  }

  /** Makes the index anew, without tombstones, with room for the live ids to grow by a third. */
  #reindex(): void {
    const capacity = Math.max(INDEX_INITIAL, Math.ceil((this.#live + 1) / LOAD_GROWN))
    this.#index = new Int32Array(0)
    this.#index = new Int32Array(capacity)
    this.#tombstones = 0
    for (const bucket of this.buckets()) {
      for (let i = 0; i < bucket.count; i++) {
        const entry = bucket.chunks[Math.floor(i / CHUNK_IDS)]! * CHUNK_IDS + (i % CHUNK_IDS)
        const slab = this.#slabs[entry >>> SLAB_SHIFT]!
        const base = (entry & (SLAB_IDS - 1)) * ID_WORDS
        this.#link(entry, slab[base]!, slab[base + 1]!)
      }
    }
  }
}

const SCALE = 2 ** -32

/** Maps a hash to an index of any length, in proportion: no power of two is needed to grow by a third. */
function placeOf(hash: number, capacity: number): number {
  return ((hash >>> 0) * capacity * SCALE) >>> 0
}
