import { PAGE_SLOTS } from '@countersink/shared/page-format'
import { grown } from '../typed-growth.ts'

/** Low limbs stay within this, so that adding any safe integer to one is exact in a double. */
const LIMB = 2 ** 52
const LIMB_BIG = 1n << 52n
const TOUCHED_WORDS = PAGE_SLOTS / 32
/** Blocks of one array: 256 KiB, of which what was never written to takes no memory. */
const SLAB_SHIFT = 6
const SLAB_BLOCKS = 1 << SLAB_SHIFT
const SLAB_MASK = SLAB_BLOCKS - 1
/** A block of which no more is touched is cleared and copied sum by sum. */
const SPARSE_MAX = 160
export const NO_BLOCK = -1

/**
 * Blocks of 512 sums, which the layer being folded, the dirt and the cache of one partition take and
 * give back, so that a block goes from one to the next without being copied. They lie in slabs: to
 * grow copies nothing.
 *
 * A sum is two limbs, `low + high * 2^52`: `low` is a double that stays exact, `high` exists only
 * for the rare block that needed it. So sums of any size are exact at the price of one comparison.
 */
export class BlockPool {
  readonly #slabs: Float64Array[] = []
  readonly #high = new Map<number, Float64Array>()
  /** One bit a slot: which slots have been added to (or set). */
  #touched = new Int32Array(0)
  #free = new Int32Array(0)
  #freeCount = 0

  /** How many blocks there are, taken or free. */
  get capacity(): number {
    return this.#slabs.length * SLAB_BLOCKS
  }

  get byteLength(): number {
    const sums = (this.capacity + this.#high.size) * PAGE_SLOTS * 8
    return sums + this.#touched.byteLength + this.#free.byteLength
  }

  /** A block in which nothing is touched and all sums are 0. */
  take(): number {
    if (this.#freeCount === 0) this.#addSlab()
    return this.#free[--this.#freeCount]!
  }

  release(block: number): void {
    this.#clear(block)
    this.#free[this.#freeCount++] = block
  }

  /** Adds to one sum. `delta` is a safe integer. */
  add(block: number, index: number, delta: number): void {
    const low = this.#slabs[block >> SLAB_SHIFT]!
    const at = (block & SLAB_MASK) * PAGE_SLOTS + index
    const before = low[at]!
    // What is not 0 was touched: two of three events need not fetch the line with the bits.
    if (before === 0) this.#touch(block, index)
    const sum = before + delta
    if (sum <= LIMB && sum >= -LIMB) low[at] = sum
    else this.#carry(block, index, BigInt(before) + BigInt(delta))
  }

  /** The exact sum. */
  sum(block: number, index: number): bigint {
    const high = this.#high.get(block)?.[index] ?? 0
    return BigInt(this.lows(block)[startOf(block) + index]!) + BigInt(high) * LIMB_BIG
  }

  /** Sets a sum to any exact value. */
  set(block: number, index: number, value: bigint): void {
    const high = this.#high.get(block)
    if (high !== undefined) high[index] = 0
    this.#touch(block, index)
    this.#carry(block, index, value)
  }

  /** The slab that holds the low limbs of a block, from `startOf(block)` on. */
  lows(block: number): Float64Array {
    return this.#slabs[block >> SLAB_SHIFT]!
  }

  /** Which of the slots `32 * word` to `32 * word + 31` are touched, one bit each. */
  touchedWord(block: number, word: number): number {
    return this.#touched[block * TOUCHED_WORDS + word]!
  }

  /** True when some sum of the block needs its high limb: the fast paths then give way. */
  isWide(block: number): boolean {
    return this.#high.has(block)
  }

  isTouched(block: number, index: number): boolean {
    return (this.touchedWord(block, index >> 5) & (1 << (index & 31))) !== 0
  }

  countTouched(block: number): number {
    let count = 0
    for (let word = 0; word < TOUCHED_WORDS; word++)
      count += popcount(this.touchedWord(block, word))
    return count
  }

  /** Adds all touched sums of `other` to `block`. Gives how many became touched. */
  addBlock(block: number, other: number): number {
    const before = this.countTouched(block)
    const added = this.countTouched(other)
    if (before === 0 && added > SPARSE_MAX && !this.isWide(other)) {
      this.#copy(block, other)
      return added
    }
    const [lows, start] = [this.lows(other), startOf(other)]
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      for (let bits = this.touchedWord(other, word); bits !== 0; bits &= bits - 1) {
        const index = word * 32 + 31 - Math.clz32(bits & -bits)
        this.add(block, index, lows[start + index]!)
      }
    }
    this.#addHigh(block, other)
    return before === 0 ? added : this.countTouched(block) - before
  }

  #touch(block: number, index: number): void {
    this.#touched[block * TOUCHED_WORDS + (index >> 5)]! |= 1 << (index & 31)
  }

  #addHigh(block: number, other: number): void {
    const high = this.#high.get(other)
    if (high === undefined) return
    const [lows, start] = [this.lows(block), startOf(block)]
    for (let index = 0; index < PAGE_SLOTS; index++) {
      if (high[index] === 0) continue
      this.#carry(block, index, BigInt(lows[start + index]!) + BigInt(high[index]!) * LIMB_BIG)
    }
  }

  /** To a block that nothing was added to yet: what is not touched is 0 in both. */
  #copy(block: number, other: number): void {
    const from = startOf(other)
    this.lows(block).set(this.lows(other).subarray(from, from + PAGE_SLOTS), startOf(block))
    const words = other * TOUCHED_WORDS
    this.#touched.copyWithin(block * TOUCHED_WORDS, words, words + TOUCHED_WORDS)
  }

  #clear(block: number): void {
    const [lows, start] = [this.lows(block), startOf(block)]
    if (this.countTouched(block) > SPARSE_MAX) lows.fill(0, start, start + PAGE_SLOTS)
    else {
      for (let word = 0; word < TOUCHED_WORDS; word++) {
        for (let bits = this.touchedWord(block, word); bits !== 0; bits &= bits - 1) {
          lows[start + word * 32 + 31 - Math.clz32(bits & -bits)] = 0
        }
      }
    }
    this.#touched.fill(0, block * TOUCHED_WORDS, (block + 1) * TOUCHED_WORDS)
    this.#high.delete(block)
  }

  /** Replaces the low limb by `value`, what does not fit being added to the high one. */
  #carry(block: number, index: number, value: bigint): void {
    const high = value / LIMB_BIG
    this.lows(block)[startOf(block) + index] = Number(value - high * LIMB_BIG)
    if (high === 0n) return
    let highs = this.#high.get(block)
    if (highs === undefined) this.#high.set(block, (highs = new Float64Array(PAGE_SLOTS)))
    highs[index]! += Number(high)
  }

  #addSlab(): void {
    const first = this.capacity
    this.#slabs.push(new Float64Array(SLAB_BLOCKS * PAGE_SLOTS))
    if (this.capacity * TOUCHED_WORDS > this.#touched.length) {
      const room = 2 * this.capacity
      this.#touched = grown(this.#touched, new Int32Array(room * TOUCHED_WORDS))
      this.#free = grown(this.#free, new Int32Array(room))
    }
    for (let block = this.capacity - 1; block >= first; block--) {
      this.#free[this.#freeCount++] = block
    }
  }
}

/** Where the low limbs of a block begin in its slab. */
export function startOf(block: number): number {
  return (block & SLAB_MASK) * PAGE_SLOTS
}

function popcount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555)
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333)
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
