import { PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import type { PagedSums } from '../core/paged-sums.ts'
import { bigInt8ArrayParameter, int4ArrayParameter, int8ArrayParameter } from './binary-arrays.ts'

const SUMS_INITIAL = 1024
const TOUCHED_WORDS = PAGE_SLOTS / 32

/**
 * The sums of many rows, one after the other, as the columns of one statement: slots, low 64 bits
 * and carries. `row()` closes a row; the statement cuts the columns up again by `bounds()`. Carries are
 * sent only when some sum needs one, and are stored only for its row.
 */
export class SumColumns {
  #length = 0
  #slots = new Int32Array(SUMS_INITIAL)
  #lows = new Float64Array(SUMS_INITIAL)
  /** There when one of the sums left int64's half of the doubles: then it holds all of them. */
  #limbs: { lows: bigint[]; carries: bigint[] } | undefined
  #starts: number[] = []
  #ends: number[] = []
  #wide: boolean[] = []
  #rowIsWide = false

  begin(): void {
    this.#length = 0
    this.#limbs = undefined
    this.#starts = []
    this.#ends = []
    this.#wide = []
    this.#rowIsWide = false
  }

  /** Adds the touched sums of a block to the row, `base` added to their index. */
  addTouched(sums: PagedSums, block: number, base: number): void {
    this.#reserve()
    const begin = this.#length
    let length = begin
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      let bits = sums.touched[block * TOUCHED_WORDS + word]!
      while (bits !== 0) {
        const index = word * 32 + 31 - Math.clz32(bits & -bits)
        bits &= bits - 1
        this.#slots[length] = base + index
        this.#lows[length++] = sums.low[block * PAGE_SLOTS + index]!
      }
    }
    this.#length = length
    this.#addLimbs(sums, block, begin, base)
  }

  /** Adds all 128 sums of a block to the row, touched or not. */
  addPage(sums: PagedSums, block: number): void {
    this.#reserve()
    const begin = this.#length
    for (let index = 0; index < PAGE_SLOTS; index++) this.#slots[begin + index] = index
    this.#lows.set(sums.low.subarray(block * PAGE_SLOTS, (block + 1) * PAGE_SLOTS), begin)
    this.#length += PAGE_SLOTS
    this.#addLimbs(sums, block, begin, 0)
  }

  /** Closes the row that was added to. */
  row(): void {
    this.#starts.push((this.#ends.at(-1) ?? 0) + 1)
    this.#ends.push(this.#length)
    this.#wide.push(this.#rowIsWide)
    this.#rowIsWide = false
  }

  /**
   * Of each row: its first and last element, counted from 1, and whether it has carries; of none
   * when no row has, which a statement reads as null.
   */
  bounds(): [starts: Buffer, ends: Buffer, wide: boolean[]] {
    const [starts, ends] = [Int32Array.from(this.#starts), Int32Array.from(this.#ends)]
    return [
      int4ArrayParameter(starts),
      int4ArrayParameter(ends),
      this.#limbs === undefined ? [] : this.#wide,
    ]
  }

  /** int4[], int8[] and int8[]: the last is empty where no row has carries. */
  columns(): [slots: Buffer, lows: Buffer, carries: Buffer] {
    const slots = int4ArrayParameter(this.#slots, 0, this.#length)
    const limbs = this.#limbs
    if (limbs === undefined) {
      return [slots, int8ArrayParameter(this.#lows, 0, this.#length), NO_CARRIES]
    }
    const { lows, carries } = limbs
    return [slots, bigInt8ArrayParameter(lows), bigInt8ArrayParameter(carries)]
  }

  #addLimbs(sums: PagedSums, block: number, begin: number, base: number): void {
    const isWide = sums.isWide(block)
    this.#rowIsWide ||= isWide
    if (this.#limbs === undefined && !isWide) return
    if (this.#limbs === undefined) {
      this.#limbs = { lows: [], carries: [] }
      for (let i = 0; i < begin; i++) this.#pushLimbs(this.#limbs, BigInt(this.#lows[i]!))
    }
    for (let i = begin; i < this.#length; i++) {
      this.#pushLimbs(this.#limbs, sums.sum(block, this.#slots[i]! - base))
    }
  }

  #pushLimbs(limbs: { lows: bigint[]; carries: bigint[] }, sum: bigint): void {
    const { low, carry } = toLimbs(sum)
    limbs.lows.push(low)
    limbs.carries.push(carry)
  }

  /** Room for one more block. */
  #reserve(): void {
    if (this.#length + PAGE_SLOTS <= this.#slots.length) return
    const slots = new Int32Array(this.#slots.length * 2)
    slots.set(this.#slots)
    this.#slots = slots
    const lows = new Float64Array(this.#lows.length * 2)
    lows.set(this.#lows)
    this.#lows = lows
  }
}

const NO_CARRIES = int8ArrayParameter(new Float64Array(0))
