import { VARINT_BYTES_MAX } from '@countersink/shared/packed/packed-format'

/**
 * Reads the numbers of a packed record from `bytes[position, end)`. What is not there or not right
 * sets `failed` and reads as 0, and the reader stands at the end from then on, so that loops over
 * what it gives end by themselves. The columns are read by loops of their own, which ask here for
 * what is longer than two bytes.
 */
export class VarintReader {
  bytes: Uint8Array = new Uint8Array(0)
  position = 0
  end = 0
  failed = false

  open(bytes: Uint8Array, position: number, end: number): void {
    this.bytes = bytes
    this.position = position
    this.end = end
    this.failed = false
  }

  byte(): number {
    if (this.position >= this.end) return this.fail()
    return this.bytes[this.position++]!
  }

  /** Unsigned LEB128 of at most 8 bytes and at most `max`. */
  varint(max: number): number {
    if (this.position >= this.end) return this.fail()
    const first = this.bytes[this.position++]!
    const value = first < 0x80 ? first : (first & 0x7f) + 0x80 * this.#groups()
    // A sum past 2^53 may be rounded, but never down to a safe integer.
    return value <= max ? value : this.fail()
  }

  /** A safe integer: the lowest bit of the first byte is its sign, the rest its magnitude. */
  zigzag(): number {
    if (this.position >= this.end) return this.fail()
    const first = this.bytes[this.position++]!
    const low = (first & 0x7f) >> 1
    const magnitude = first < 0x80 ? low : low + 0x40 * this.#groups()
    const value = (first & 1) === 0 ? magnitude : -1 - magnitude
    return Number.isSafeInteger(value) ? value : this.fail()
  }

  /** Moves on by so many bytes and gives where they start; there must be as many. */
  skip(length: number): number {
    const start = this.position
    if (length > this.end - start) return this.fail()
    this.position = start + length
    return start
  }

  fail(): number {
    this.failed = true
    this.position = this.end
    return 0
  }

  /** What stands in the groups of seven bits after the first, the lowest first. */
  #groups(): number {
    let value = 0
    let unit = 1
    for (let i = 1; i < VARINT_BYTES_MAX; i++) {
      if (this.position >= this.end) return this.fail()
      const byte = this.bytes[this.position++]!
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
      unit *= 0x80
    }
    return this.fail()
  }
}
