import type { VarintReader } from './varint-reader.ts'

/*
 * The columns of a packed record, read by loops that know numbers of one and two bytes; the reader
 * is asked for longer ones. Hot: each runs once for every event.
 */

const CONTINUES = 0x80
const LOW_7_BITS = 0x7f
const { MAX_SAFE_INTEGER } = Number

/** `count` numbers below `limit`. */
export function readNumbers(
  reader: VarintReader,
  count: number,
  limit: number,
  out: Int32Array,
): void {
  const { bytes, end } = reader
  let at = reader.position
  for (let i = 0; i < count; i++) {
    let value = at < end ? bytes[at]! : CONTINUES
    if (value < CONTINUES) {
      at++
    } else if (at + 1 < end && bytes[at + 1]! < CONTINUES) {
      value = (value & LOW_7_BITS) | (bytes[at + 1]! << 7)
      at += 2
    } else {
      reader.position = at
      value = reader.varint(limit - 1)
      at = reader.position
      if (reader.failed) return
    }
    if (value >= limit) {
      reader.fail()
      return
    }
    out[i] = value
  }
  reader.position = at
}

/** `count` zigzag numbers. */
export function readDeltas(reader: VarintReader, count: number, out: Float64Array): void {
  const { bytes, end } = reader
  let at = reader.position
  for (let i = 0; i < count; i++) {
    const first = at < end ? bytes[at]! : CONTINUES
    if (first < CONTINUES) {
      out[i] = (first >>> 1) ^ -(first & 1)
      at++
      continue
    }
    reader.position = at
    out[i] = reader.zigzag()
    at = reader.position
    if (reader.failed) return
  }
  reader.position = at
}

/** `count` times as zigzag differences, the first to `base`. None may leave the safe integers. */
export function readTimes(
  reader: VarintReader,
  count: number,
  base: number,
  out: Float64Array,
): void {
  const { bytes, end } = reader
  let at = reader.position
  out[0] = base
  for (let i = 0; i < count; i++) {
    const first = at < end ? bytes[at]! : CONTINUES
    let difference: number
    if (first < CONTINUES) {
      difference = (first >>> 1) ^ -(first & 1)
      at++
    } else if (at + 1 < end && bytes[at + 1]! < CONTINUES) {
      const value = (first & LOW_7_BITS) | (bytes[at + 1]! << 7)
      difference = (value >>> 1) ^ -(value & 1)
      at += 2
    } else {
      reader.position = at
      difference = reader.zigzag()
      at = reader.position
      if (reader.failed) return
    }
    // Taken from the column and not carried in a variable, which V8 would box each time.
    const time = out[i === 0 ? 0 : i - 1]! + difference
    if (time > MAX_SAFE_INTEGER || time < -MAX_SAFE_INTEGER) {
      reader.fail()
      return
    }
    out[i] = time
  }
  reader.position = at
}
