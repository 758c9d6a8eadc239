import { grown } from '../typed-growth.ts'

const SLAB_INTERVALS = 4096
const SLAB_SHIFT = 12
const SLAB_MASK = SLAB_INTERVALS - 1
/** The first slabs grow in steps, so that few intervals take little. */
const SLABS_GROWN_MAX = 16
const SLAB_STEP = 256
const INTERVAL_BYTES = 16
const NOTHING = new Int32Array(0)

/** Intervals that a block of each size class holds. A block of the last class is a chunk. */
export const BLOCK_SIZES = [1, 4, 16, 64] as const
export const CLASS_LAST = BLOCK_SIZES.length - 1
export const BLOCK_INTERVALS_MAX = BLOCK_SIZES[CLASS_LAST]!
/** As many as ids can be hashed: an interval of one sequence costs about what a hashed id does. */
export const INTERVALS_PER_PARTITION_MAX = 2 ** 26

/** The greatest length of one interval; what is longer is two of them. */
export const LENGTH_MAX = 2 ** 31 - 1

/**
 * The storage of intervals `[first, first + length)`, each with the number of its bucket: 16 bytes in
 * typed arrays. It is dealt in blocks, of a few sizes so that a lane with one interval takes one,
 * and a block never crosses a slab. An entry number says where an interval lies; a block's number is
 * that of its first entry.
 */
export class IntervalBlocks {
  readonly #firsts: Float64Array[] = []
  readonly #lengths: Int32Array[] = []
  readonly #buckets: Int32Array[] = []
  readonly #free: number[][] = BLOCK_SIZES.map(() => [])
  /** Entries that the slabs have room for, and those of them that were cut into chunks. */
  #room = 0
  #cut = 0

  get byteLength(): number {
    return this.#room * INTERVAL_BYTES
  }

  first(entry: number): number {
    return this.#firsts[entry >>> SLAB_SHIFT]![entry & SLAB_MASK]!
  }

  length(entry: number): number {
    return this.#lengths[entry >>> SLAB_SHIFT]![entry & SLAB_MASK]!
  }

  bucket(entry: number): number {
    return this.#buckets[entry >>> SLAB_SHIFT]![entry & SLAB_MASK]!
  }

  set(entry: number, first: number, length: number, bucket: number): void {
    const slab = entry >>> SLAB_SHIFT
    const at = entry & SLAB_MASK
    this.#firsts[slab]![at] = first
    this.#lengths[slab]![at] = length
    this.#buckets[slab]![at] = bucket
  }

  setLength(entry: number, length: number): void {
    this.#lengths[entry >>> SLAB_SHIFT]![entry & SLAB_MASK] = length
  }

  /** Makes an interval longer at its end. */
  extend(entry: number, length: number): void {
    this.#lengths[entry >>> SLAB_SHIFT]![entry & SLAB_MASK]! += length
  }

  /** How many of the `used` intervals of a block begin at or before the sequence. */
  countUpTo(block: number, used: number, sequence: number): number {
    const firsts = this.#firsts[block >>> SLAB_SHIFT]!
    const base = block & SLAB_MASK
    let low = 0
    let high = used
    while (low < high) {
      const middle = (low + high) >>> 1
      if (firsts[base + middle]! <= sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Copies neighbouring intervals, also within one block and onto themselves. */
  copy(from: number, to: number, count: number): void {
    if (count === 0 || from === to) return
    for (const slabs of [this.#firsts, this.#lengths, this.#buckets]) {
      const source = slabs[from >>> SLAB_SHIFT]!
      const target = slabs[to >>> SLAB_SHIFT]!
      const start = from & SLAB_MASK
      if (source === target) target.copyWithin(to & SLAB_MASK, start, start + count)
      else target.set(source.subarray(start, start + count), to & SLAB_MASK)
    }
  }

  /** A block of the size class. Asserts the partition's bound. */
  deal(sizeClass: number): number {
    const free = this.#free[sizeClass]!
    if (free.length === 0) {
      const chunk = this.#cutChunk()
      const size = BLOCK_SIZES[sizeClass]!
      for (let at = BLOCK_INTERVALS_MAX - size; at >= 0; at -= size) free.push(chunk + at)
    }
    return free.pop()!
  }

  release(block: number, sizeClass: number): void {
    this.#free[sizeClass]!.push(block)
  }

  /** A whole chunk that is free already, or a new one. */
  #cutChunk(): number {
    const free = this.#free[CLASS_LAST]!.pop()
    if (free !== undefined) return free
    if (this.#cut >= INTERVALS_PER_PARTITION_MAX) {
      throw new RangeError(
        `more than ${INTERVALS_PER_PARTITION_MAX} intervals of ids in one partition's lateness`,
      )
    }
    if (this.#cut === this.#room) this.#growSlabs()
    this.#cut += BLOCK_INTERVALS_MAX
    return this.#cut - BLOCK_INTERVALS_MAX
  }

  #growSlabs(): void {
    const used = this.#room & SLAB_MASK
    const step = this.#firsts.length > SLABS_GROWN_MAX ? SLAB_INTERVALS : SLAB_STEP
    const intervals = Math.min(SLAB_INTERVALS, used + step)
    const last = this.#firsts.length - (used > 0 ? 1 : 0)
    const [firsts, lengths, buckets] = [this.#firsts, this.#lengths, this.#buckets]
    firsts[last] = grown(firsts[last] ?? NOTHING, new Float64Array(intervals))
    lengths[last] = grown(lengths[last] ?? NOTHING, new Int32Array(intervals))
    buckets[last] = grown(buckets[last] ?? NOTHING, new Int32Array(intervals))
    this.#room += intervals - used
  }
}
