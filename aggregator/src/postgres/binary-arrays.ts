/*
 * An array of one dimension in Postgres' binary format (array_send), all numbers big-endian int4:
 *
 *   dimensions 1 | has nulls 0 | oid of the elements | count | lower bound 1 | { length | element }
 *
 * An empty one has no dimension, and ends after the oid.
 */

const INT8_OID = 20
const INT2_OID = 21
const INT4_OID = 23
const TEXT_OID = 25
const UUID_OID = 2950

const HEADER_BYTES = 20
const EMPTY_BYTES = 12
const LENGTH_BYTES = 4
const UUID_BYTES = 16
const UUID_DIGITS = /^[0-9a-f]{32}$/i
const TWO_32 = 0x1_0000_0000

/** Bytes of an array of `count` elements of `elementBytes` each. */
export function arrayBytes(count: number, elementBytes: number): number {
  return count === 0 ? EMPTY_BYTES : HEADER_BYTES + count * (LENGTH_BYTES + elementBytes)
}

/** Writes `values[start, end)` as int2[] at `position` and gives the position behind it. */
export function writeInt2Array(
  view: DataView,
  position: number,
  values: Int16Array,
  start: number,
  end: number,
): number {
  let p = writeHeader(view, position, INT2_OID, end - start)
  for (let i = start; i < end; i++) {
    view.setInt32(p, 2)
    view.setInt16(p + 4, values[i] as number)
    p += 6
  }
  return p
}

/** Writes `values[start, end)` as int4[] at `position` and gives the position behind it. */
export function writeInt4Array(
  view: DataView,
  position: number,
  values: Int32Array,
  start: number,
  end: number,
): number {
  let p = writeHeader(view, position, INT4_OID, end - start)
  for (let i = start; i < end; i++) {
    view.setInt32(p, 4)
    view.setInt32(p + 4, values[i] as number)
    p += 8
  }
  return p
}

/**
 * Writes `values[start, end)`, safe integers all of them, as int8[] at `position` and gives the
 * position behind it.
 */
export function writeInt8Array(
  view: DataView,
  position: number,
  values: Float64Array,
  start: number,
  end: number,
): number {
  let p = writeHeader(view, position, INT8_OID, end - start)
  for (let i = start; i < end; i++) {
    view.setInt32(p, 8)
    writeInt8(view, p + 4, values[i] as number)
    p += 12
  }
  return p
}

/** As writeInt8Array, for sums that leave the safe integers. */
export function writeBigInt8Array(
  view: DataView,
  position: number,
  values: ArrayLike<bigint>,
  start: number,
  end: number,
): number {
  let p = writeHeader(view, position, INT8_OID, end - start)
  for (let i = start; i < end; i++) {
    view.setInt32(p, 8)
    view.setBigInt64(p + 4, values[i] as bigint)
    p += 12
  }
  return p
}

/** Writes a safe integer as two halves, which is several times faster than a bigint. */
export function writeInt8(view: DataView, position: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  view.setInt32(position, high)
  view.setInt32(position + 4, value - high * TWO_32)
}

function writeHeader(view: DataView, position: number, oid: number, count: number): number {
  view.setInt32(position, count === 0 ? 0 : 1)
  view.setInt32(position + 4, 0)
  view.setInt32(position + 8, oid)
  if (count === 0) return position + EMPTY_BYTES
  view.setInt32(position + 12, count)
  view.setInt32(position + 16, 1)
  return position + HEADER_BYTES
}

/*
 * Parameters of queries: pg sends a Buffer in binary format, so the statement must say the type
 * (`$1::int8[]`).
 */

/** `values[start, end)` as a parameter of type int4[]. */
export function int4ArrayParameter(values: Int32Array, start = 0, end = values.length): Buffer {
  const buffer = Buffer.allocUnsafeSlow(arrayBytes(end - start, 4))
  writeInt4Array(viewOf(buffer), 0, values, start, end)
  return buffer
}

/** `values[start, end)`, safe integers all of them, as a parameter of type int8[]. */
export function int8ArrayParameter(values: Float64Array, start = 0, end = values.length): Buffer {
  const buffer = Buffer.allocUnsafeSlow(arrayBytes(end - start, 8))
  writeInt8Array(viewOf(buffer), 0, values, start, end)
  return buffer
}

/** `values[start, end)` as a parameter of type int8[]. */
export function bigInt8ArrayParameter(
  values: ArrayLike<bigint>,
  start = 0,
  end = values.length,
): Buffer {
  const buffer = Buffer.allocUnsafeSlow(arrayBytes(end - start, 8))
  writeBigInt8Array(viewOf(buffer), 0, values, start, end)
  return buffer
}

/** UUIDs in any spelling of 32 hex digits as a parameter of type uuid[]. */
export function uuidArrayParameter(values: readonly string[]): Buffer {
  const buffer = Buffer.allocUnsafeSlow(arrayBytes(values.length, UUID_BYTES))
  const view = viewOf(buffer)
  let position = writeHeader(view, 0, UUID_OID, values.length)
  for (const value of values) {
    view.setInt32(position, UUID_BYTES)
    writeUuid(buffer, position + LENGTH_BYTES, value)
    position += LENGTH_BYTES + UUID_BYTES
  }
  return buffer
}

/** Strings without U+0000 as a parameter of type text[]. */
export function textArrayParameter(values: readonly string[]): Buffer {
  let size = arrayBytes(values.length, 0)
  for (const value of values) size += Buffer.byteLength(value)
  const buffer = Buffer.allocUnsafeSlow(size)
  const view = viewOf(buffer)
  let position = writeHeader(view, 0, TEXT_OID, values.length)
  for (const value of values) {
    const length = buffer.write(value, position + LENGTH_BYTES, 'utf8')
    view.setInt32(position, length)
    position += LENGTH_BYTES + length
  }
  return buffer
}

/** Writes the 16 bytes of a UUID; throws a RangeError when it has not 32 hex digits. */
export function writeUuid(buffer: Buffer, position: number, value: string): void {
  const digits = value.replaceAll('-', '')
  if (!UUID_DIGITS.test(digits)) throw new RangeError(`not a UUID: ${value}`)
  buffer.write(digits, position, 'hex')
}

export function viewOf(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
