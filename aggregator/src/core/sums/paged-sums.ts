import { PAGE_SHIFT, PAGE_SLOTS } from '@countersink/shared/page-format'
import { grown } from '../typed-growth.ts'

/** Low limbs stay within this, so that adding any safe integer to one is exact in a double. */
const LIMB = 2 ** 52
const LIMB_BIG = 1n << 52n
const TOUCHED_WORDS = PAGE_SLOTS / 32
const BLOCKS_INITIAL = 32
/** Steep: what is copied costs, room that nothing was written to yet takes no memory. */
const GROWTH = 4
const NONE = -1

/** The totals of a counter (`size` 0, `start` 0) or one of its windows, page by page. */
export type Family = {
  counter: number
  size: number
  start: number
  /** page -> block, or -1 */
  directory: Int32Array
  blocks: number
}

/**
 * Sums of neighbouring slots in blocks of 512, found by family and page: what a commit adds, what
 * is dirty, what is cached, all in this one shape, so that adding one to another is a loop over
 * two arrays and nothing is ever sorted. Blocks are taken from a pool and stand in a list from the
 * one allocated or touched first to the last; each carries one number of its holder (`from`).
 *
 * A sum is two limbs, `low + high * 2^52`: `low` is a double that stays exact, `high` exists only
 * for the rare block that needed it. So sums of any size are exact at the price of one comparison.
 */
export class PagedSums {
  low = new Float64Array(BLOCKS_INITIAL * PAGE_SLOTS)
  /** One bit a slot: which slots have been added to (or set). */
  touched = new Int32Array(BLOCKS_INITIAL * TOUCHED_WORDS)
  /** What the holder wants to know of a block: an offset. */
  from = new Float64Array(BLOCKS_INITIAL)
  readonly #high = new Map<number, Float64Array>()
  #family: (Family | undefined)[] = []
  #page = new Int32Array(BLOCKS_INITIAL)
  #newer = new Int32Array(BLOCKS_INITIAL)
  #older = new Int32Array(BLOCKS_INITIAL)
  #oldest = NONE
  #newest = NONE
  #free = NONE
  #dealt = 0
  #blocks = 0
  readonly #families = new Map<number, Map<number, Map<number, Family>>>()

  /** Blocks in use. */
  get size(): number {
    return this.#blocks
  }

  get byteLength(): number {
    return (
      this.low.byteLength +
      this.touched.byteLength +
      this.from.byteLength +
      this.#high.size * PAGE_SLOTS * 8
    )
  }

  /** The oldest block, or -1. Walk on with `after`. */
  get oldest(): number {
    return this.#oldest
  }

  after(block: number): number {
    return this.#newer[block]!
  }

  familyOf(block: number): Family {
    const family = this.#family[block]
    if (family === undefined) throw new RangeError(`block ${block} is free`)
    return family
  }

  pageOf(block: number): number {
    return this.#page[block]!
  }

  *families(): Generator<Family> {
    for (const sizes of this.#families.values()) {
      for (const starts of sizes.values()) yield* starts.values()
    }
  }

  /** The family, made if it is not there. It goes when its last block is freed. */
  family(counter: number, size: number, start: number): Family {
    let sizes = this.#families.get(counter)
    if (sizes === undefined) this.#families.set(counter, (sizes = new Map()))
    let starts = sizes.get(size)
    if (starts === undefined) sizes.set(size, (starts = new Map()))
    let family = starts.get(start)
    if (family === undefined) {
      family = { counter, size, start, directory: new Int32Array(0), blocks: 0 }
      starts.set(start, family)
    }
    return family
  }

  /** The block of a page, or -1. */
  find(counter: number, size: number, start: number, page: number): number {
    const family = this.#families.get(counter)?.get(size)?.get(start)
    return family === undefined ? NONE : (family.directory[page] ?? NONE)
  }

  /** The block of a page, allocated as the newest with `from` if it is not there. */
  block(family: Family, page: number, from: number): number {
    const block = family.directory[page]
    return block === undefined || block === NONE ? this.#allocate(family, page, from) : block
  }

  /** Adds to one sum. `delta` is a safe integer. */
  add(block: number, index: number, delta: number): void {
    const at = block * PAGE_SLOTS + index
    this.touched[block * TOUCHED_WORDS + (index >> 5)]! |= 1 << (index & 31)
    const sum = this.low[at]! + delta
    if (sum <= LIMB && sum >= -LIMB) this.low[at] = sum
    else this.#carry(block, index, BigInt(this.low[at]!) + BigInt(delta))
  }

  /** The exact sum. */
  sum(block: number, index: number): bigint {
    const high = this.#high.get(block)?.[index] ?? 0
    return BigInt(this.low[block * PAGE_SLOTS + index]!) + BigInt(high) * LIMB_BIG
  }

  /** Sets a sum to any exact value. */
  set(block: number, index: number, value: bigint): void {
    this.low[block * PAGE_SLOTS + index] = 0
    const high = this.#high.get(block)
    if (high !== undefined) high[index] = 0
    this.touched[block * TOUCHED_WORDS + (index >> 5)]! |= 1 << (index & 31)
    this.#carry(block, index, value)
  }

  /** True when some sum of the block needs its high limb: the fast paths then give way. */
  isWide(block: number): boolean {
    return this.#high.has(block)
  }

  isTouched(block: number, index: number): boolean {
    return (this.touched[block * TOUCHED_WORDS + (index >> 5)]! & (1 << (index & 31))) !== 0
  }

  countTouched(block: number): number {
    let count = 0
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      count += popcount(this.touched[block * TOUCHED_WORDS + word]!)
    }
    return count
  }

  /** Adds all touched sums of `other`'s block to a block of this. Gives how many became touched. */
  addBlock(block: number, other: PagedSums, otherBlock: number): number {
    const before = this.countTouched(block)
    if (before === 0 && !other.isWide(otherBlock)) return this.#copyBlock(block, other, otherBlock)
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      let bits = other.touched[otherBlock * TOUCHED_WORDS + word]!
      while (bits !== 0) {
        const index = word * 32 + 31 - Math.clz32(bits & -bits)
        bits &= bits - 1
        this.add(block, index, other.low[otherBlock * PAGE_SLOTS + index]!)
      }
    }
    const high = other.#high.get(otherBlock)
    if (high !== undefined) {
      for (let index = 0; index < PAGE_SLOTS; index++) {
        if (high[index] !== 0)
          this.#carry(block, index, this.#low(block, index) + BigInt(high[index]!) * LIMB_BIG)
      }
    }
    return this.countTouched(block) - before
  }

  /** The same for a block that nothing was added to yet: what is not touched is 0 in both. */
  #copyBlock(block: number, other: PagedSums, otherBlock: number): number {
    const from = otherBlock * PAGE_SLOTS
    this.low.set(other.low.subarray(from, from + PAGE_SLOTS), block * PAGE_SLOTS)
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      this.touched[block * TOUCHED_WORDS + word] = other.touched[otherBlock * TOUCHED_WORDS + word]!
    }
    return this.countTouched(block)
  }

  /** Makes a block the newest. */
  touch(block: number): void {
    if (this.#newest === block) return
    this.#unlist(block)
    this.#list(block)
  }

  free(block: number): void {
    const family = this.familyOf(block)
    family.directory[this.#page[block]!] = NONE
    family.blocks--
    if (family.blocks === 0) this.#forget(family)
    this.#release(block)
  }

  /** Frees all. Families go too: whoever kept one has to ask again. */
  clear(): void {
    for (let block = this.#oldest; block !== NONE;) {
      const next = this.#newer[block]!
      this.#release(block)
      block = next
    }
    this.#families.clear()
  }

  #release(block: number): void {
    this.low.fill(0, block * PAGE_SLOTS, (block + 1) * PAGE_SLOTS)
    this.touched.fill(0, block * TOUCHED_WORDS, (block + 1) * TOUCHED_WORDS)
    this.#high.delete(block)
    this.#family[block] = undefined
    this.#unlist(block)
    this.#newer[block] = this.#free
    this.#free = block
    this.#blocks--
  }

  #forget(family: Family): void {
    const sizes = this.#families.get(family.counter)
    const starts = sizes?.get(family.size)
    starts?.delete(family.start)
    if (starts?.size === 0) sizes?.delete(family.size)
    if (sizes?.size === 0) this.#families.delete(family.counter)
  }

  #low(block: number, index: number): bigint {
    return BigInt(this.low[block * PAGE_SLOTS + index]!)
  }

  /** Replaces the low limb by `value`, what does not fit going to the high one. */
  #carry(block: number, index: number, value: bigint): void {
    const high = value / LIMB_BIG
    this.low[block * PAGE_SLOTS + index] = Number(value - high * LIMB_BIG)
    if (high === 0n) return
    let highs = this.#high.get(block)
    if (highs === undefined) this.#high.set(block, (highs = new Float64Array(PAGE_SLOTS)))
    highs[index]! += Number(high)
  }

  #allocate(family: Family, page: number, from: number): number {
    let block = this.#free
    if (block === NONE) {
      if (this.#dealt * PAGE_SLOTS === this.low.length) this.#grow()
      block = this.#dealt++
    } else {
      this.#free = this.#newer[block]!
    }
    if (page >= family.directory.length) family.directory = grownDirectory(family.directory, page)
    family.directory[page] = block
    family.blocks++
    this.#family[block] = family
    this.#page[block] = page
    this.from[block] = from
    this.#list(block)
    this.#blocks++
    return block
  }

  #list(block: number): void {
    this.#older[block] = this.#newest
    this.#newer[block] = NONE
    if (this.#newest === NONE) this.#oldest = block
    else this.#newer[this.#newest] = block
    this.#newest = block
  }

  #unlist(block: number): void {
    const older = this.#older[block]!
    const newer = this.#newer[block]!
    if (older === NONE) this.#oldest = newer
    else this.#newer[older] = newer
    if (newer === NONE) this.#newest = older
    else this.#older[newer] = older
  }

  #grow(): void {
    const blocks = this.#dealt * GROWTH
    this.low = grown(this.low, new Float64Array(blocks * PAGE_SLOTS))
    this.touched = grown(this.touched, new Int32Array(blocks * TOUCHED_WORDS))
    this.from = grown(this.from, new Float64Array(blocks))
    this.#page = grown(this.#page, new Int32Array(blocks))
    this.#newer = grown(this.#newer, new Int32Array(blocks))
    this.#older = grown(this.#older, new Int32Array(blocks))
  }
}

export function pageOfSlot(slot: number): number {
  return slot >> PAGE_SHIFT
}

function grownDirectory(directory: Int32Array, page: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(page + 1, Math.ceil(directory.length * 1.5))).fill(NONE)
  larger.set(directory)
  return larger
}

function popcount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555)
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333)
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
