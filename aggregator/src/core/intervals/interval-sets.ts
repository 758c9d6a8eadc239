import {
  BLOCK_INTERVALS_MAX,
  BLOCK_SIZES,
  CLASS_LAST,
  IntervalBlocks,
  LENGTH_MAX,
} from './interval-blocks.ts'
import { grown } from '../typed-growth.ts'

const SETS_INITIAL = 64
const NO_TAIL = -1
/** The size class of a set that has more blocks than one. */
const CLASS_MANY = BLOCK_SIZES.length

/** The blocks of a set that one does not hold, in order. Only such sets have an object. */
type Directory = { count: number; blocks: Int32Array; used: Uint8Array; firsts: Float64Array }

/**
 * Sorted sets of disjoint intervals of sequences, each interval with the number of its bucket. Most
 * sets are one interval that grows at its end, which touches no other; a set that is full of holes
 * is a row of blocks with a directory, found by two binary searches. Neighbours of one bucket are
 * joined, but for two that lie in different blocks.
 */
export class IntervalSets {
  readonly #blocks = new IntervalBlocks()
  /** No sequence of the set is greater. It may be smaller by now. */
  #greatest = new Float64Array(SETS_INITIAL)
  #block = new Int32Array(SETS_INITIAL)
  #used = new Uint8Array(SETS_INITIAL)
  #class = new Uint8Array(SETS_INITIAL)
  readonly #directories = new Map<number, Directory>()
  /** Where each set's last interval lies and ends, for the next sequence; NO_TAIL when it was moved. */
  #tailEnd = new Float64Array(SETS_INITIAL)
  #tailEndMax = new Float64Array(SETS_INITIAL)
  #tailBucket = new Int32Array(SETS_INITIAL)
  #tailEntry = new Int32Array(SETS_INITIAL)
  /** Intervals in all sets, and the sequences in them, of buckets that are not forgotten. */
  size = 0
  sequences = 0
  /** The same by bucket. */
  #sizes = new Float64Array(SETS_INITIAL)
  #sequences = new Float64Array(SETS_INITIAL)
  // Where the last `#locate` went: which block of its set, and how many of it are in use.
  #leaf = 0
  #at = 0
  #count = 0

  get byteLength(): number {
    let bytes = this.#blocks.byteLength + 38 * this.#greatest.length
    for (const { blocks } of this.#directories.values()) bytes += 13 * blocks.length
    return bytes
  }

  /** Makes the set number `set` empty. Numbers are the caller's, dense. */
  open(set: number): void {
    if (set >= this.#greatest.length) this.#grow(set + 1)
    this.#greatest[set] = -1
    this.#tailEnd[set] = NO_TAIL
    this.#class[set] = 0
    this.#block[set] = this.#blocks.deal(0)
    this.#used[set] = 0
  }

  /** True when the set has nothing from the sequence on. */
  isBehindAll(set: number, sequence: number): boolean {
    return sequence > this.#greatest[set]!
  }

  /** The bucket of a sequence in the set, -1 when it is not there. Most are greater than all of it. */
  bucketOf(set: number, sequence: number): number {
    if (sequence > this.#greatest[set]!) return -1
    this.#locate(set, sequence)
    const before = this.#blocks.countUpTo(this.#at, this.#count, sequence)
    if (before === 0) return -1
    const entry = this.#at + before - 1
    const end = this.#blocks.first(entry) + this.#blocks.length(entry)
    return sequence < end ? this.#blocks.bucket(entry) : -1
  }

  /** Adds `[first, first + length)` of which the set has nothing yet. */
  add(set: number, bucket: number, first: number, length: number): void {
    this.sequences += length
    if (bucket >= this.#sequences.length) this.#growBuckets(bucket + 1)
    this.#sequences[bucket]! += length
    const end = first + length
    if (
      first === this.#tailEnd[set] &&
      bucket === this.#tailBucket[set] &&
      end <= this.#tailEndMax[set]!
    ) {
      this.#blocks.extend(this.#tailEntry[set]!, length)
      this.#tailEnd[set] = end
      this.#greatest[set] = end - 1
      return
    }
    const isLast = first > this.#greatest[set]!
    this.#addAnywhere(set, bucket, first, length, isLast)
    if (isLast) {
      this.#greatest[set] = end - 1
      this.#noteTail(set)
    } else {
      this.#tailEnd[set] = NO_TAIL
    }
  }

  /** The last interval of the open block, the set's last, may grow at its end. */
  #noteTail(set: number): void {
    const entry = this.#at + this.#count - 1
    const first = this.#blocks.first(entry)
    this.#tailEnd[set] = first + this.#blocks.length(entry)
    this.#tailEndMax[set] = first + LENGTH_MAX
    this.#tailBucket[set] = this.#blocks.bucket(entry)
    this.#tailEntry[set] = entry
  }

  #addAnywhere(set: number, bucket: number, first: number, length: number, isLast: boolean): void {
    const blocks = this.#blocks
    this.#locate(set, isLast ? Infinity : first)
    const place = isLast ? this.#count : blocks.countUpTo(this.#at, this.#count, first)
    const next = this.#at + place
    const before = next - 1
    const joinsBefore =
      place > 0 &&
      blocks.bucket(before) === bucket &&
      blocks.first(before) + blocks.length(before) === first &&
      blocks.length(before) + length <= LENGTH_MAX
    const joinsNext =
      place < this.#count &&
      blocks.bucket(next) === bucket &&
      first + length === blocks.first(next) &&
      length + blocks.length(next) + (joinsBefore ? blocks.length(before) : 0) <= LENGTH_MAX
    if (joinsBefore) {
      const more = joinsNext ? blocks.length(next) : 0
      blocks.setLength(before, blocks.length(before) + length + more)
      if (joinsNext) this.#remove(set, place, bucket)
    } else if (joinsNext) {
      blocks.set(next, first, length + blocks.length(next), bucket)
      if (place === 0) this.#noteLeaf(set)
    } else {
      this.#insert(set, place, bucket, first, length)
    }
  }

  /** Calls back with each interval of a set, in order. */
  forEach(set: number, visit: (bucket: number, first: number, length: number) => void): void {
    for (let leaf = 0; leaf < this.#leaves(set); leaf++) {
      this.#openLeaf(set, leaf)
      const end = this.#at + this.#count
      for (let entry = this.#at; entry < end; entry++) {
        visit(this.#blocks.bucket(entry), this.#blocks.first(entry), this.#blocks.length(entry))
      }
    }
  }

  /** What lies in a bucket does not count any more; sweep() takes it out. */
  forget(bucket: number): void {
    if (bucket >= this.#sequences.length) return
    this.size -= this.#sizes[bucket]!
    this.sequences -= this.#sequences[bucket]!
    this.#sizes[bucket] = this.#sequences[bucket] = 0
  }

  /** How many intervals the set has room for: what sweeping it costs. */
  roomOf(set: number): number {
    return BLOCK_SIZES[this.#class[set]!] ?? this.#leaves(set) * BLOCK_INTERVALS_MAX
  }

  /**
   * Drops the intervals whose buckets are marked in `dead`, which are all forgotten; false when none
   * is left: it is closed then.
   */
  sweep(set: number, dead: Uint8Array): boolean {
    const blocks = this.#blocks
    this.#tailEnd[set] = NO_TAIL
    const leaves = this.#leaves(set)
    let kept = 0
    let seen = 0
    let target = 0
    // What is kept moves to the front, block by block; it can never overtake what is read.
    for (let leaf = 0; leaf < leaves; leaf++) {
      this.#openLeaf(set, leaf)
      seen += this.#count
      for (let entry = this.#at; entry < this.#at + this.#count; entry++) {
        const bucket = blocks.bucket(entry)
        if (dead[bucket] === 1) continue
        const place = kept % BLOCK_INTERVALS_MAX
        if (place === 0) target = this.#blockAt(set, kept / BLOCK_INTERVALS_MAX)
        if (target + place !== entry) {
          blocks.set(target + place, blocks.first(entry), blocks.length(entry), bucket)
        }
        kept++
      }
    }
    if (kept === seen && leaves === 1) return true
    this.#shrink(set, kept)
    return kept > 0
  }

  #leaves(set: number): number {
    return this.#class[set] === CLASS_MANY ? this.#directories.get(set)!.count : 1
  }

  #blockAt(set: number, leaf: number): number {
    return this.#class[set] === CLASS_MANY
      ? this.#directories.get(set)!.blocks[leaf]!
      : this.#block[set]!
  }

  #openLeaf(set: number, leaf: number): void {
    this.#leaf = leaf
    this.#at = this.#blockAt(set, leaf)
    this.#count =
      this.#class[set] === CLASS_MANY ? this.#directories.get(set)!.used[leaf]! : this.#used[set]!
  }

  /** Opens the block that holds the sequence or would: the last that does not begin after it. */
  #locate(set: number, sequence: number): void {
    if (this.#class[set] !== CLASS_MANY) {
      this.#leaf = 0
      this.#at = this.#block[set]!
      this.#count = this.#used[set]!
      return
    }
    const { firsts, count } = this.#directories.get(set)!
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (firsts[middle]! <= sequence) low = middle + 1
      else high = middle
    }
    this.#openLeaf(set, Math.max(0, low - 1))
  }

  /** Notes the count and the first sequence of the open block. */
  #noteLeaf(set: number): void {
    if (this.#class[set] !== CLASS_MANY) {
      this.#used[set] = this.#count
      return
    }
    const directory = this.#directories.get(set)!
    directory.used[this.#leaf] = this.#count
    directory.firsts[this.#leaf] = this.#blocks.first(this.#at)
  }

  #insert(set: number, at: number, bucket: number, first: number, length: number): void {
    let place = at
    if (this.#count === BLOCK_SIZES[Math.min(this.#class[set]!, CLASS_LAST)]) {
      place = this.#makeRoom(set, place)
    }
    const entry = this.#at + place
    this.#blocks.copy(entry, entry + 1, this.#count - place)
    this.#blocks.set(entry, first, length, bucket)
    this.#count++
    this.size++
    this.#sizes[bucket]!++
    this.#noteLeaf(set)
  }

  #remove(set: number, place: number, bucket: number): void {
    const entry = this.#at + place
    this.#blocks.copy(entry + 1, entry, this.#count - place - 1)
    this.#count--
    this.size--
    this.#sizes[bucket]!--
    this.#noteLeaf(set)
  }

  /** Makes room in the open block, which is full, or opens another; gives the new place. */
  #makeRoom(set: number, place: number): number {
    const sizeClass = this.#class[set]!
    if (sizeClass < CLASS_LAST) {
      this.#moveTo(set, sizeClass + 1)
      this.#at = this.#block[set]!
      return place
    }
    if (sizeClass === CLASS_LAST) this.#openDirectory(set)
    const directory = this.#directories.get(set)!
    // A set that grows at its end leaves full blocks behind, any other halves them.
    const atEnd = place === this.#count && this.#leaf === directory.count - 1
    const stay = atEnd ? this.#count : this.#count >>> 1
    const block = this.#blocks.deal(CLASS_LAST)
    const moved = this.#count - stay
    this.#blocks.copy(this.#at + stay, block, moved)
    this.#count = stay
    this.#noteLeaf(set)
    addLeaf(directory, this.#leaf + 1, block)
    directory.used[this.#leaf + 1] = moved
    directory.firsts[this.#leaf + 1] = atEnd ? Infinity : this.#blocks.first(block)
    if (place <= stay && !atEnd) return place
    this.#openLeaf(set, this.#leaf + 1)
    return place - stay
  }

  /** Moves a set of one block to a block of another size. */
  #moveTo(set: number, sizeClass: number): void {
    const block = this.#blocks.deal(sizeClass)
    this.#blocks.copy(this.#block[set]!, block, this.#used[set]!)
    this.#blocks.release(this.#block[set]!, this.#class[set]!)
    this.#block[set] = block
    this.#class[set] = sizeClass
  }

  #openDirectory(set: number): void {
    const block = this.#block[set]!
    const blocks = new Int32Array(4)
    const firsts = new Float64Array(4)
    blocks[0] = block
    firsts[0] = this.#blocks.first(block)
    this.#directories.set(set, { count: 1, blocks, used: new Uint8Array(4), firsts })
    this.#class[set] = CLASS_MANY
  }

  /** Lets go of what a set whose first `count` intervals lie packed does not need. */
  #shrink(set: number, count: number): void {
    const directory = this.#directories.get(set)
    if (directory !== undefined) {
      const leaves = Math.max(1, Math.ceil(count / BLOCK_INTERVALS_MAX))
      for (let leaf = leaves; leaf < directory.count; leaf++) {
        this.#blocks.release(directory.blocks[leaf]!, CLASS_LAST)
      }
      directory.count = leaves
      for (let leaf = 0; leaf < leaves; leaf++) {
        directory.used[leaf] = Math.min(BLOCK_INTERVALS_MAX, count - leaf * BLOCK_INTERVALS_MAX)
        directory.firsts[leaf] = this.#blocks.first(directory.blocks[leaf]!)
      }
      if (leaves > 1) return
      this.#block[set] = directory.blocks[0]!
      this.#class[set] = CLASS_LAST
      this.#directories.delete(set)
    }
    this.#used[set] = count
    if (count === 0) return this.#blocks.release(this.#block[set]!, this.#class[set]!)
    const fit = BLOCK_SIZES.findIndex((size) => size >= count)
    if (fit < this.#class[set]!) this.#moveTo(set, fit)
  }

  #growBuckets(buckets: number): void {
    const length = Math.max(buckets, 2 * this.#sizes.length)
    this.#sizes = grown(this.#sizes, new Float64Array(length))
    this.#sequences = grown(this.#sequences, new Float64Array(length))
  }

  #grow(sets: number): void {
    const length = Math.max(sets, 2 * this.#greatest.length)
    this.#greatest = grown(this.#greatest, new Float64Array(length))
    this.#block = grown(this.#block, new Int32Array(length))
    this.#used = grown(this.#used, new Uint8Array(length))
    this.#class = grown(this.#class, new Uint8Array(length))
    this.#tailEnd = grown(this.#tailEnd, new Float64Array(length))
    this.#tailEndMax = grown(this.#tailEndMax, new Float64Array(length))
    this.#tailBucket = grown(this.#tailBucket, new Int32Array(length))
    this.#tailEntry = grown(this.#tailEntry, new Int32Array(length))
  }
}

/** Puts a block into the directory as number `leaf`. */
function addLeaf(directory: Directory, leaf: number, block: number): void {
  const { count } = directory
  if (count === directory.blocks.length) {
    directory.blocks = grown(directory.blocks, new Int32Array(2 * count))
    directory.used = grown(directory.used, new Uint8Array(2 * count))
    directory.firsts = grown(directory.firsts, new Float64Array(2 * count))
  }
  directory.blocks.copyWithin(leaf + 1, leaf, count)
  directory.used.copyWithin(leaf + 1, leaf, count)
  directory.firsts.copyWithin(leaf + 1, leaf, count)
  directory.blocks[leaf] = block
  directory.count++
}
