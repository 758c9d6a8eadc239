import { VARINT_BYTES_MAX } from './packed-format.ts'

/** Longer texts are encoded by Node; up to here a loop is faster than the call. */
const LOOP_CHARS_MAX = 48
const CAPACITY_BYTES = 256

/**
 * Bytes in the order they are written, in a buffer that grows and is kept. Hot: a column of a packed
 * record is one of these, and every event writes to four of them.
 */
export class ByteWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(CAPACITY_BYTES)
  length = 0

  clear(): void {
    this.length = 0
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1)
    this.bytes[this.length++] = value
  }

  /** A safe integer that is not negative, as unsigned LEB128. */
  varint(value: number): void {
    if (this.length + VARINT_BYTES_MAX > this.bytes.length) this.reserve(VARINT_BYTES_MAX)
    const { bytes } = this
    let position = this.length
    let rest = value
    // Shifts would cut numbers to 32 bits.
    for (; rest >= 0x8000_0000; rest = Math.floor(rest / 0x80)) {
      bytes[position++] = (rest % 0x80) | 0x80
    }
    for (; rest >= 0x80; rest >>>= 7) bytes[position++] = (rest & 0x7f) | 0x80
    bytes[position++] = rest
    this.length = position
  }

  /**
   * Any safe integer: 2x when it is not negative, else -2x - 1, as a varint. The doubled number can
   * leave the safe integers, so its lowest bit, the sign, goes out with the first six of the rest.
   */
  zigzag(value: number): void {
    if (this.length + VARINT_BYTES_MAX > this.bytes.length) this.reserve(VARINT_BYTES_MAX)
    const sign = value < 0 ? 1 : 0
    const magnitude = value < 0 ? -1 - value : value
    const low = ((magnitude % 0x40) << 1) | sign
    if (magnitude < 0x40) {
      this.bytes[this.length++] = low
      return
    }
    this.bytes[this.length++] = low | 0x80
    this.varint(Math.floor(magnitude / 0x40))
  }

  /** A text from its `start` on, with its length in bytes before it. */
  text(text: string, start = 0): void {
    const chars = text.length - start
    if (chars > LOOP_CHARS_MAX) {
      this.#encode(text, start)
      return
    }
    if (this.length + 1 + chars > this.bytes.length) this.reserve(1 + chars)
    const { bytes } = this
    const begin = this.length
    let position = begin
    bytes[position++] = chars
    for (let i = start; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) {
        this.#encode(text, start)
        return
      }
      bytes[position++] = code
    }
    this.length = position
  }

  /** ASCII, without a length. */
  ascii(text: string): void {
    if (this.length + text.length > this.bytes.length) this.reserve(text.length)
    this.length += this.bytes.write(text, this.length, 'latin1')
  }

  append(other: ByteWriter): void {
    if (this.length + other.length > this.bytes.length) this.reserve(other.length)
    this.length = other.copyTo(this.bytes, this.length)
  }

  /** Copies what was written to `target` and gives the position after it. */
  copyTo(target: Buffer, position: number): number {
    return position + this.bytes.copy(target, position, 0, this.length)
  }

  #encode(whole: string, start: number): void {
    const text = start === 0 ? whole : whole.slice(start)
    const size = Buffer.byteLength(text)
    this.varint(size)
    if (this.length + size > this.bytes.length) this.reserve(size)
    this.length += this.bytes.write(text, this.length, 'utf8')
  }

  /** Makes room for so many bytes more, unless there is. */
  reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + bytes))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}
