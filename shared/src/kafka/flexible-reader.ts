/**
 * Reads a response of Kafka's "flexible" versions: compact strings, bytes and lists have their length
 * plus one as an unsigned varint in front (0 for null), and each structure ends with tagged fields.
 * Throws RangeError when the response is shorter than it says.
 */
export type FlexibleReader = {
  int16(): number
  int32(): number
  /** Exact below 2^53. */
  int64(): number
  /** A view, as are compactBytes. */
  bytes(length: number): Buffer
  compactBytes(): Buffer
  string(): string
  list<T>(read: () => T): T[]
  tags(): void
}

export function createFlexibleReader(payload: Buffer): FlexibleReader {
  let position = 0

  function take(length: number): number {
    const start = position
    position += length
    if (position > payload.length) throw new RangeError('a response is cut short')
    return start
  }

  function unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = payload.readUInt8(take(1))
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a length in a response is malformed')
  }

  const reader: FlexibleReader = {
    int16: () => payload.readInt16BE(take(2)),
    int32: () => payload.readInt32BE(take(4)),
    int64: () => int64At(payload, take(8)),
    bytes: (length) => payload.subarray(take(length), position),
    compactBytes: () => reader.bytes(Math.max(unsignedVarint() - 1, 0)),
    string() {
      const length = Math.max(unsignedVarint() - 1, 0)
      return payload.toString('utf8', take(length), position)
    },
    list(read) {
      const count = Math.max(unsignedVarint() - 1, 0)
      if (count > payload.length) throw new RangeError('a list in a response is cut short')
      return Array.from({ length: count }, read)
    },
    tags() {
      for (let left = unsignedVarint(); left > 0; left--) {
        unsignedVarint()
        take(unsignedVarint())
      }
    },
  }
  return reader
}

/** Exact below 2^53: no offset, time or producer id comes near it. */
export function int64At(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * 0x1_0000_0000 + buffer.readUInt32BE(position + 4)
}
