import assert from 'node:assert/strict'
import {
  arrayBytes,
  viewOf,
  writeBigInt8Array,
  writeInt2Array,
  writeInt4Array,
  writeInt8,
  writeInt8Array,
  writeUuid,
} from './binary-arrays.ts'

/*
 * The file of COPY … WITH (FORMAT binary), all numbers big-endian:
 *
 *   "PGCOPY\n\xff\r\n\0" | flags int4 0 | extension length int4 0
 *   | { field count int2 | { length int4, -1 for null | value } } | -1 int2
 */

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const BYTES_INITIAL = 64 * 1024
/** What a commit copies at most: CopyData has a length of 31 bits, and a bug must not take all memory. */
const BYTES_MAX = 1024 * 1024 * 1024
const NULL_LENGTH = -1
const JSONB_VERSION = 1
/** The most that one UTF-16 unit becomes. */
const UTF8_BYTES_PER_UNIT_MAX = 3

/**
 * Writes rows for COPY in binary format into one buffer that is used again for each COPY.
 *
 *     writer.begin()
 *     for (…) { writer.row(2); writer.int4(page); writer.int8Array(sums, 0, 128) }
 *     stream.end(writer.finish())
 *
 * What finish() gives is valid until the next begin(). Values go out in the order of the columns;
 * their types must be the columns' own, as COPY converts nothing.
 */
export class CopyWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BYTES_INITIAL)
  #view: DataView = viewOf(this.#buffer)
  #position = 0
  #rows = 0

  /** Starts over. */
  begin(): void {
    this.#rows = 0
    this.#position = SIGNATURE.copy(this.#buffer, 0)
    this.#view.setInt32(this.#position, 0)
    this.#view.setInt32(this.#position + 4, 0)
    this.#position += 8
  }

  /** Rows since begin(). */
  get rows(): number {
    return this.#rows
  }

  /** Bytes since begin(). */
  get bytes(): number {
    return this.#position
  }

  /** Begins a row of that many values. */
  row(fieldCount: number): void {
    const position = this.#reserve(2)
    this.#view.setInt16(position, fieldCount)
    this.#rows++
  }

  null(): void {
    const position = this.#reserve(4)
    this.#view.setInt32(position, NULL_LENGTH)
  }

  int2(value: number): void {
    const position = this.#reserve(6)
    this.#view.setInt32(position, 2)
    this.#view.setInt16(position + 4, value)
  }

  int4(value: number): void {
    const position = this.#reserve(8)
    this.#view.setInt32(position, 4)
    this.#view.setInt32(position + 4, value)
  }

  /** A safe integer. */
  int8(value: number): void {
    const position = this.#reserve(12)
    this.#view.setInt32(position, 8)
    writeInt8(this.#view, position + 4, value)
  }

  bigInt8(value: bigint): void {
    const position = this.#reserve(12)
    this.#view.setInt32(position, 8)
    this.#view.setBigInt64(position + 4, value)
  }

  /** Without U+0000, which Postgres does not store. */
  text(value: string): void {
    const position = this.#reserveMore(4 + value.length * UTF8_BYTES_PER_UNIT_MAX)
    const length = this.#buffer.write(value, position + 4, 'utf8')
    this.#view.setInt32(position, length)
    this.#position += 4 + length
  }

  /** The bytes `[start, end)` as bytea, or as text when they are UTF-8 and the column is text. */
  bytea(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const position = this.#reserve(4 + end - start)
    this.#view.setInt32(position, end - start)
    const source = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    this.#buffer.set(source, position + 4)
  }

  /** 32 hex digits, with dashes or without. */
  uuid(value: string): void {
    const position = this.#reserve(20)
    this.#view.setInt32(position, 16)
    writeUuid(this.#buffer, position + 4, value)
  }

  /** The text of a JSON value. */
  jsonb(json: string): void {
    const position = this.#reserveMore(5 + json.length * UTF8_BYTES_PER_UNIT_MAX)
    this.#buffer[position + 4] = JSONB_VERSION
    const length = this.#buffer.write(json, position + 5, 'utf8')
    this.#view.setInt32(position, 1 + length)
    this.#position += 5 + length
  }

  int2Array(values: Int16Array, start = 0, end = values.length): void {
    const position = this.#reserveArray(arrayBytes(end - start, 2))
    writeInt2Array(this.#view, position, values, start, end)
  }

  int4Array(values: Int32Array, start = 0, end = values.length): void {
    const position = this.#reserveArray(arrayBytes(end - start, 4))
    writeInt4Array(this.#view, position, values, start, end)
  }

  /** Safe integers all of them. */
  int8Array(values: Float64Array, start = 0, end = values.length): void {
    const position = this.#reserveArray(arrayBytes(end - start, 8))
    writeInt8Array(this.#view, position, values, start, end)
  }

  bigInt8Array(values: ArrayLike<bigint>, start = 0, end = values.length): void {
    const position = this.#reserveArray(arrayBytes(end - start, 8))
    writeBigInt8Array(this.#view, position, values, start, end)
  }

  /** Ends the file and gives it: a view that is valid until the next begin(). */
  finish(): Buffer {
    const position = this.#reserve(2)
    this.#view.setInt16(position, -1)
    return this.#buffer.subarray(0, this.#position)
  }

  /** Writes an array's length and gives the place of its first byte. */
  #reserveArray(size: number): number {
    const position = this.#reserve(4 + size)
    this.#view.setInt32(position, size)
    return position + 4
  }

  /** Makes room for `size` bytes, takes them, and gives their place. */
  #reserve(size: number): number {
    const position = this.#reserveMore(size)
    this.#position += size
    return position
  }

  /** Makes room for up to `size` bytes; the caller takes what it has used. */
  #reserveMore(size: number): number {
    const needed = this.#position + size
    if (needed > this.#buffer.length) this.#grow(needed)
    return this.#position
  }

  #grow(needed: number): void {
    assert(needed <= BYTES_MAX, `a COPY of more than ${BYTES_MAX} bytes`)
    const larger = Buffer.allocUnsafeSlow(
      Math.min(BYTES_MAX, Math.max(needed, this.#buffer.length * 2)),
    )
    this.#buffer.copy(larger, 0, 0, this.#position)
    this.#buffer = larger
    this.#view = viewOf(larger)
  }
}
