import { viewOf } from '../core/keyed-hash.ts'

const TEXT_OID = 25
const HEADER_BYTES = 20
const LENGTH_BYTES = 4
const NULL_LENGTH = -1
const BYTES_INITIAL = 4096
/** What a commit with more names has taken is let go of. */
const BYTES_KEPT_MAX = 2 ** 22

const QUOTE = 34
const BACKSLASH = 92

/**
 * A parameter of type text[] in the making, in Postgres' binary format (binary-arrays.ts), from
 * bytes of UTF-8: no string is made. An element is opened, added to piece by piece, and closed.
 */
export class TextArray {
  #bytes = new Uint8Array(BYTES_INITIAL)
  #view = viewOf(this.#bytes)
  #length = HEADER_BYTES
  #count = 0
  #hasNulls = false
  /** Where the open element's length goes. */
  #opened = 0

  begin(): void {
    if (this.#bytes.length > BYTES_KEPT_MAX) {
      this.#bytes = new Uint8Array(BYTES_INITIAL)
      this.#view = viewOf(this.#bytes)
    }
    this.#length = HEADER_BYTES
    this.#count = 0
    this.#hasNulls = false
  }

  open(): void {
    this.#reserve(LENGTH_BYTES)
    this.#opened = this.#length
    this.#length += LENGTH_BYTES
  }

  close(): void {
    this.#view.setInt32(this.#opened, this.#length - this.#opened - LENGTH_BYTES)
    this.#count++
  }

  addNull(): void {
    this.open()
    this.#view.setInt32(this.#opened, NULL_LENGTH)
    this.#count++
    this.#hasNulls = true
  }

  addBytes(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start)
    for (let i = start; i < end; i++) this.#bytes[this.#length++] = bytes[i]!
  }

  /** One character of ASCII. */
  addCode(code: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = code
  }

  /**
   * As an element of an array in its text form, in quotes, so that no text means anything else. All
   * bytes of a character beyond ASCII are above 127.
   */
  addQuoted(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(2 * (end - start) + 2)
    const target = this.#bytes
    let at = this.#length
    target[at++] = QUOTE
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!
      if (byte === QUOTE || byte === BACKSLASH) target[at++] = BACKSLASH
      target[at++] = byte
    }
    target[at++] = QUOTE
    this.#length = at
  }

  /** A copy: what is added later does not change it. */
  parameter(): Buffer {
    this.#view.setInt32(0, 1)
    this.#view.setInt32(4, this.#hasNulls ? 1 : 0)
    this.#view.setInt32(8, TEXT_OID)
    this.#view.setInt32(12, this.#count)
    this.#view.setInt32(16, 1)
    return Buffer.from(this.#bytes.subarray(0, this.#length))
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    bytes.set(this.#bytes)
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }
}
