import { VARINT_BYTES_MAX } from './packed-format.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const NOTHING = new Uint8Array(0)

/**
 * Reads numbers and texts in turn. What is not there or not right sets `failed` and reads as 0 or
 * empty from then on, so that a caller may ask once, after a loop that is bounded by itself.
 */
export class ByteReader {
  failed = false
  readonly #bytes: Uint8Array
  #position: number

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes
    this.#position = position
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length
  }

  byte(): number {
    const byte = this.failed ? undefined : this.#bytes[this.#position++]
    if (byte !== undefined) return byte
    this.failed = true
    return 0
  }

  /** Unsigned LEB128, at most 8 bytes and `max`. */
  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    const first = this.byte()
    const value = first < 0x80 ? first : (first & 0x7f) + 0x80 * this.#groups()
    // A sum past 2^53 may be rounded, but never down to a safe integer.
    return value <= max ? value : this.#fail()
  }

  /** A safe integer: the lowest bit of the first byte is the sign, the rest are the magnitude. */
  zigzag(): number {
    const first = this.byte()
    const low = (first & 0x7f) >> 1
    const magnitude = first < 0x80 ? low : low + 0x40 * this.#groups()
    const value = (first & 1) === 0 ? magnitude : -1 - magnitude
    return Number.isSafeInteger(value) ? value : this.#fail()
  }

  bytes(length: number): Uint8Array {
    const end = this.#position + length
    if (this.failed || end > this.#bytes.length) {
      this.failed = true
      return NOTHING
    }
    const bytes = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return bytes
  }

  /** Bytes with their length before them. */
  block(): Uint8Array {
    return this.bytes(this.varint())
  }

  text(): string {
    return this.decode(this.block())
  }

  decode(bytes: Uint8Array): string {
    try {
      return utf8.decode(bytes)
    } catch {
      this.failed = true
      return ''
    }
  }

  /** What stands in the groups of seven bits after the first, the lowest first. */
  #groups(): number {
    let value = 0
    let unit = 1
    for (let i = 1; i < VARINT_BYTES_MAX; i++) {
      const byte = this.byte()
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
      unit *= 0x80
    }
    return this.#fail()
  }

  #fail(): number {
    this.failed = true
    return 0
  }
}
