import { PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import type { PagedSums } from '../core/sums/paged-sums.ts'
import {
  bigInt8ArrayParameter,
  int4ArrayParameter,
  int4s,
  int8ArrayParameter,
} from './binary-arrays.ts'

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
  #length = 0
  #slots = new Int32Array(SUMS_INITIAL)
  #smallLength = 0
  #smalls = new Int32Array(SUMS_INITIAL)
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
    this.#length = 0
    this.#smallLength = 0
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

  /** Adds the touched sums of a block to the row, `base` added to their index. */
  addTouched(sums: PagedSums, block: number, base: number): void {
    this.#slots = roomFor(this.#slots, this.#length, PAGE_SLOTS)
    this.#rowSums = roomFor(this.#rowSums, this.#rowLength, PAGE_SLOTS)
    const begin = this.#length
    for (let word = 0; word < TOUCHED_WORDS; word++) {
      let bits = sums.touched[block * TOUCHED_WORDS + word]!
      while (bits !== 0) {
        const index = word * 32 + 31 - Math.clz32(bits & -bits)
        bits &= bits - 1
        this.#slots[this.#length++] = base + index
        this.#rowSums[this.#rowLength++] = sums.low[block * PAGE_SLOTS + index]!
      }
    }
    this.#addWide(sums, block, begin, base)
  }

  /** Adds all 512 sums of a block to the row, touched or not. */
  addPage(sums: PagedSums, block: number): void {
    this.#slots = roomFor(this.#slots, this.#length, PAGE_SLOTS)
    this.#rowSums = roomFor(this.#rowSums, this.#rowLength, PAGE_SLOTS)
    const begin = this.#length
    for (let index = 0; index < PAGE_SLOTS; index++) this.#slots[this.#length++] = index
    const first = block * PAGE_SLOTS
    this.#rowSums.set(sums.low.subarray(first, first + PAGE_SLOTS), this.#rowLength)
    this.#rowLength += PAGE_SLOTS
    this.#addWide(sums, block, begin, 0)
  }

  /** Closes the row that was added to. */
  row(): void {
    const kind = this.#kindOfRow()
    const begin = this.#valueCount(kind)
    this.#keepRow(kind)
    this.#kinds.push(kind)
    this.#ends.push(this.#length)
    this.#valueStarts.push(begin + 1)
    this.#valueEnds.push(this.#valueCount(kind))
    this.#rowLength = 0
    this.#rowWide = undefined
  }

  /**
   * Of each row, all int4[]: its last slot counted from 1 (the first is the one after the row
   * before), its kind, and its first and last sum in the column of that kind.
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

  /** int4[] */
  slots(): Buffer {
    return int4ArrayParameter(this.#slots, 0, this.#length)
  }

  /** int4[], int8[], and int8[] with their carries, int8[]. */
  sums(): [smalls: Buffer, larges: Buffer, wideLows: Buffer, wideCarries: Buffer] {
    return [
      int4ArrayParameter(this.#smalls, 0, this.#smallLength),
      int8ArrayParameter(this.#larges, 0, this.#largeLength),
      bigInt8ArrayParameter(this.#wideLows),
      bigInt8ArrayParameter(this.#wideCarries),
    ]
  }

  #addWide(sums: PagedSums, block: number, begin: number, base: number): void {
    if (this.#rowWide === undefined && !sums.isWide(block)) return
    const added = this.#length - begin
    this.#rowWide ??= Array.from(this.#rowSums.subarray(0, this.#rowLength - added), BigInt)
    for (let i = begin; i < this.#length; i++) {
      this.#rowWide.push(sums.sum(block, this.#slots[i]! - base))
    }
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
    return kind === LARGE ? this.#largeLength : this.#smallLength
  }

  #keepRow(kind: number): void {
    if (kind === WIDE) {
      for (const { low, carry } of (this.#rowWide ?? []).map(toLimbs)) {
        this.#wideLows.push(low)
        this.#wideCarries.push(carry)
      }
      return
    }
    const sums = this.#rowSums.subarray(0, this.#rowLength)
    if (kind === LARGE) {
      this.#larges = roomFor(this.#larges, this.#largeLength, this.#rowLength)
      this.#larges.set(sums, this.#largeLength)
      this.#largeLength += this.#rowLength
    } else {
      this.#smalls = roomFor(this.#smalls, this.#smallLength, this.#rowLength)
      this.#smalls.set(sums, this.#smallLength)
      this.#smallLength += this.#rowLength
    }
  }
}

function roomFor<T extends Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer>>(
  column: T,
  length: number,
  more: number,
): T {
  if (length + more <= column.length) return column
  const size = Math.max(column.length * 2, length + more)
  const larger = (column instanceof Int32Array ? new Int32Array(size) : new Float64Array(size)) as T
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
