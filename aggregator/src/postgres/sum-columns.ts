import { PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import { type BlockPool, startOf } from '../core/sums/block-pool.ts'
import { bigInt8ArrayParameter, Int4Column, int4s, int8ArrayParameter } from './binary-arrays.ts'

const SUMS_INITIAL = 1024
const TOUCHED_WORDS = PAGE_SLOTS / 32
const INT32_MIN = -(2 ** 31)
const INT32_MAX = 2 ** 31 - 1

/** How the sums of a row are stored: as int4, as int8, or as int8 with carries. */
const SMALL = 0
const LARGE = 1
const WIDE = 2

/**
 * The sums of many rows, one after the other, as the columns of one statement. `row()` closes a row,
 * whose sums go to the narrowest column that holds them all: nearly always int4, which is half of
 * what a page is. The statement cuts the columns up again by `bounds()`.
 */
export class SumColumns {
  readonly #slots = new Int4Column()
  readonly #smalls = new Int4Column()
  #largeLength = 0
  #larges = new Float64Array(SUMS_INITIAL)
  #wideLows: bigint[] = []
  #wideCarries: bigint[] = []
  #ends: number[] = []
  #kinds: number[] = []
  #valueStarts: number[] = []
  #valueEnds: number[] = []
  /** Of the open row, as long as all of its sums are doubles. */
  #rowSums = new Float64Array(SUMS_INITIAL)
  #rowLength = 0
  /** Of the open row, once one of its sums needs its high limb: all of them. */
  #rowWide: bigint[] | undefined

  begin(): void {
    this.#slots.begin()
    this.#smalls.begin()
    this.#largeLength = 0
    this.#wideLows = []
    this.#wideCarries = []
    this.#ends = []
    this.#kinds = []
    this.#valueStarts = []
    this.#valueEnds = []
    this.#rowLength = 0
    this.#rowWide = undefined
  }

  /** Adds the touched sums of a block to the row, with their slots: `base` and their index. */
  addTouched(pool: BlockPool, block: number, base: number): void {
    const slots = this.#slots
    slots.reserve(PAGE_SLOTS)
    this.#rowSums = roomFor(this.#rowSums, this.#rowLength, PAGE_SLOTS)
    const sums = this.#rowSums
    const [lows, first] = [pool.lows(block), startOf(block)]
    const begin = this.#rowLength
    let length = begin
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      for (let bits = pool.touchedWord(block, word); bits !== 0; bits &= bits - 1) {
        const index = word * 32 + 31 - Math.clz32(bits & -bits)
        slots.push(base + index)
        sums[length++] = lows[first + index]!
      }
    }
    this.#rowLength = length
    if (this.#isRowWide(pool, block, begin)) {
      for (let index = 0; index < PAGE_SLOTS; index++) {
        if (pool.isTouched(block, index)) this.#rowWide!.push(pool.sum(block, index))
      }
    }
  }

  /** Adds all 512 sums of a block to the row, touched or not, without slots. */
  addPage(pool: BlockPool, block: number): void {
    this.#rowSums = roomFor(this.#rowSums, this.#rowLength, PAGE_SLOTS)
    const first = startOf(block)
    const begin = this.#rowLength
    this.#rowSums.set(pool.lows(block).subarray(first, first + PAGE_SLOTS), begin)
    this.#rowLength += PAGE_SLOTS
    if (this.#isRowWide(pool, block, begin)) {
      for (let index = 0; index < PAGE_SLOTS; index++) {
        this.#rowWide!.push(pool.sum(block, index))
      }
    }
  }

  /** Closes the row that was added to. */
  row(): void {
    const kind = this.#kindOfRow()
    const begin = this.#valueCount(kind)
    this.#keepRow(kind)
    this.#kinds.push(kind)
    this.#ends.push(this.#slots.length)
    this.#valueStarts.push(begin + 1)
    this.#valueEnds.push(this.#valueCount(kind))
    this.#rowLength = 0
    this.#rowWide = undefined
  }

  /**
   * Of each row, all int4[]: its first and last slot counted from 1, its kind, and its first and
   * last sum in the column of that kind.
   */
  bounds(): [starts: Buffer, ends: Buffer, kinds: Buffer, valueStarts: Buffer, valueEnds: Buffer] {
    const starts = this.#ends.map((_, row) => (this.#ends[row - 1] ?? 0) + 1)
    return [
      int4s(starts),
      int4s(this.#ends),
      int4s(this.#kinds),
      int4s(this.#valueStarts),
      int4s(this.#valueEnds),
    ]
  }

  /** int4[]; holds until the next `begin`, as the sums do. */
  slots(): Buffer {
    return this.#slots.parameter()
  }

  /** int4[], int8[], and int8[] with their carries, int8[]. */
  sums(): [smalls: Buffer, larges: Buffer, wideLows: Buffer, wideCarries: Buffer] {
    return [
      this.#smalls.parameter(),
      int8ArrayParameter(this.#larges, 0, this.#largeLength),
      bigInt8ArrayParameter(this.#wideLows),
      bigInt8ArrayParameter(this.#wideCarries),
    ]
  }

  /** True when the row holds bigints, now or from this block on, behind `begin` sums that did not. */
  #isRowWide(pool: BlockPool, block: number, begin: number): boolean {
    if (this.#rowWide === undefined && !pool.isWide(block)) return false
    this.#rowWide ??= Array.from(this.#rowSums.subarray(0, begin), BigInt)
    return true
  }

  #kindOfRow(): number {
    if (this.#rowWide !== undefined) return WIDE
    for (let i = 0; i < this.#rowLength; i++) {
      const sum = this.#rowSums[i]!
      if (sum > INT32_MAX || sum < INT32_MIN) return LARGE
    }
    return SMALL
  }

  #valueCount(kind: number): number {
    if (kind === WIDE) return this.#wideLows.length
    return kind === LARGE ? this.#largeLength : this.#smalls.length
  }

  #keepRow(kind: number): void {
    if (kind === WIDE) {
      for (const { low, carry } of (this.#rowWide ?? []).map(toLimbs)) {
        this.#wideLows.push(low)
        this.#wideCarries.push(carry)
      }
      return
    }
    if (kind === LARGE) {
      this.#larges = roomFor(this.#larges, this.#largeLength, this.#rowLength)
      this.#larges.set(this.#rowSums.subarray(0, this.#rowLength), this.#largeLength)
      this.#largeLength += this.#rowLength
      return
    }
    const smalls = this.#smalls
    smalls.reserve(this.#rowLength)
    for (let i = 0; i < this.#rowLength; i++) smalls.push(this.#rowSums[i]!)
  }
}

function roomFor(column: Float64Array<ArrayBuffer>, length: number, more: number) {
  if (length + more <= column.length) return column
  const larger = new Float64Array(Math.max(column.length * 2, length + more))
  larger.set(column)
  return larger
}

/** The columns that a statement fills with the sums of a row `u`, from parameters $first to $first + 3. */
export function sumColumnsSql(first: number): string {
  const cut = (parameter: number, type: string): string =>
    `($${parameter}::${type}[])[u.value_lo : u.value_hi]`
  return `case u.kind when ${SMALL} then ${cut(first, 'int')} end,
          case u.kind when ${LARGE} then ${cut(first + 1, 'bigint')}
            when ${WIDE} then ${cut(first + 2, 'bigint')} end,
          case u.kind when ${WIDE} then ${cut(first + 3, 'bigint')} end`
}
