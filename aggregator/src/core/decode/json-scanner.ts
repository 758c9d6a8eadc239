import { LIMITS } from '@countersink/shared/event'
import type { Fields } from './fields.ts'
import { readPlainTime } from './plain-time.ts'

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const COLON = 0x3a
const LOWER_V = 0x76
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** 15 digits are always a safe integer; what has more is the slow path's to judge. */
const DIGITS_MAX = 15
/** What is read of a name at once, and may lie behind the value, but not behind the buffer. */
const NAME_BYTES_READ = 8
const VALUE_BYTES_MAX = LIMITS.valueBytesMax
const ID_BYTES_MAX = LIMITS.idBytesMax
const COUNTER_BYTES_MAX = LIMITS.counterBytesMax
const KEY_BYTES_MAX = LIMITS.keyBytesMax
const DIMS_MAX = LIMITS.dimsMax
const DIM_NAME_BYTES_MAX = LIMITS.dimNameBytesMax
const DIM_VALUE_BYTES_MAX = LIMITS.dimValueBytesMax
const AT_MS_MAX = LIMITS.atMsMax

const ID = word('"id"')
const AT = word('"at"')
const KEY = word('"key')
const COU = word('"cou')
const NTER = word('nter')
const DEL = word('"del')
const LTA = word('lta"')
const DIM = word('"dim')
const IMS = word('ims"')
const SPE = word('"spe')
const TRUE = word('true')
const NULL = word('null')
const FALS = word('fals')
const ALSE = word('alse')

/** A field is a bit, so that fields can be ticked off. */
const OTHER = 0
const IS_ID = 1
const IS_COUNTER = 2
const IS_KEY = 4
const IS_AT = 8
const IS_DELTA = 16
const IS_DIMS = 32
const REQUIRED = IS_ID | IS_COUNTER | IS_KEY | IS_AT

/**
 * Reads events of the plain shape, which is what nearly all producers write: one JSON object, its
 * fields in any order, strings of ASCII without escapes, integers of up to 15 digits, times as
 * epoch milliseconds or RFC 3339, white space where printers put it, and other fields if their
 * values are plain too. It never says that an event is invalid: what it is not sure of goes to
 * `parseEventBytes`, and where it fills the fields, that one would have filled them alike.
 *
 * Strings are tested four bytes at a time through a DataView and names are told apart by their
 * first word, without allocation. A class, because the view belongs to the buffer, and one buffer
 * holds thousands of events. The figures are in docs/decisions/014-decoders.md.
 */
export class JsonScanner {
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** What #readInteger has read. */
  #integer = 0

  /**
   * Reads the event in `bytes[start, end)` into `fields`. False when it is not plain or not valid:
   * what the fields hold then means nothing.
   *
   * Longer than a screen, because V8 inlines only so much into one function: each call in this
   * loop has a single place, and the calls that are not worth inlining are behind a test.
   */
  scan(bytes: Uint8Array, start: number, end: number, fields: Fields): boolean {
    if (this.#bytes !== bytes) this.#open(bytes)
    const view = this.#view
    if (end - start > VALUE_BYTES_MAX || end > bytes.length) return false
    const limit = Math.min(end, bytes.length - 3)
    const nameLimit = bytes.length - NAME_BYTES_READ
    let i = start
    if (i >= end || bytes[i] !== OPEN_BRACE) return false
    fields.bytes = bytes
    fields.delta = 1
    fields.dimCount = 0
    let seen = 0
    do {
      i++
      if (i < end && bytes[i] === SPACE) i++
      if (i < end && byteAt(bytes, i) <= SPACE) i = skipSpace(bytes, i, end)
      if (i > nameLimit) return false
      let field = OTHER
      const first = view.getInt32(i, true)
      if (first === ID) {
        field = IS_ID
        i += 4
      } else if (first === COU && view.getInt32(i + 4, true) === NTER && bytes[i + 8] === QUOTE) {
        field = IS_COUNTER
        i += 9
      } else if (first === KEY && bytes[i + 4] === QUOTE) {
        field = IS_KEY
        i += 5
      } else if (first === DEL && view.getInt32(i + 3, true) === LTA) {
        field = IS_DELTA
        i += 7
      } else if (first === AT) {
        field = IS_AT
        i += 4
      } else if (first === DIM && view.getInt32(i + 2, true) === IMS) {
        field = IS_DIMS
        i += 6
      } else {
        i = otherNameEnd(bytes, view, i, limit)
        if (i < 0) return false
      }
      if ((seen & field) !== 0 || i >= end || bytes[i] !== COLON) return false
      seen |= field
      i++
      if (i < end && bytes[i] === SPACE) i++
      if (i < end && byteAt(bytes, i) <= SPACE) i = skipSpace(bytes, i, end)
      if (i >= end) return false
      const c = byteAt(bytes, i)
      if (c === QUOTE) {
        const from = i + 1
        i = stringEnd(bytes, view, from, limit)
        if (i < 0 || !keepString(bytes, field, from, i, fields)) return false
        i++
      } else if (c < COLON) {
        i = this.#readInteger(bytes, view, i, limit, end)
        if (i < 0 || !keepInteger(field, this.#integer, fields)) return false
      } else {
        if (field === IS_DIMS) i = readDims(bytes, view, i, limit, end, fields)
        else if (field === OTHER) i = literalEnd(view, i, end)
        else return false
        if (i < 0) return false
      }
      if (i < end && byteAt(bytes, i) <= SPACE) i = skipSpace(bytes, i, end)
    } while (i < end && bytes[i] === COMMA)
    if (i >= end || bytes[i] !== CLOSE_BRACE) return false
    i++
    return (seen & REQUIRED) === REQUIRED && (i === end || skipSpace(bytes, i, end) === end)
  }

  #open(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Reads -?(0|[1-9][0-9]{0,14}) at `start` into #integer and gives its end, or -1. */
  #readInteger(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    limit: number,
    end: number,
  ): number {
    const negative = bytes[start] === MINUS
    const from = negative ? start + 1 : start
    let i = from
    let value = 0
    while (i < limit) {
      const x = view.getInt32(i, true)
      // Digits are 0x30 to 0x39: the high nibble is 3, and still is when 6 is added.
      if (((x & 0xf0f0f0f0) | (((x + 0x06060606) & 0xf0f0f0f0) >>> 4)) !== 0x33333333) break
      // Pairs of digits to half words, then the two pairs to a number.
      const digits = x - 0x30303030
      const pairs = (digits * 10 + (digits >>> 8)) & 0x00ff00ff
      value = value * 10_000 + (pairs & 0xff) * 100 + (pairs >>> 16)
      i += 4
    }
    while (i < end) {
      const digit = byteAt(bytes, i) - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
      i++
    }
    const length = i - from
    if (length === 0 || length > DIGITS_MAX) return -1
    if (length > 1 && bytes[from] === ZERO) return -1
    // Not `-value`, which would make -0 of 0.
    this.#integer = negative ? 0 - value : value
    return i
  }
}

/** The end of a plain name that is none of ours, or -1 when it must be handed over. */
function otherNameEnd(bytes: Uint8Array, view: DataView, start: number, limit: number): number {
  if (bytes[start] !== QUOTE) return -1
  const nameEnd = stringEnd(bytes, view, start + 1, limit)
  // `v` and `specversion` say how all the rest is to be read.
  if (nameEnd - start === 2 && bytes[start + 1] === LOWER_V) return -1
  if (view.getInt32(start, true) === SPE) return -1
  return nameEnd < 0 ? -1 : nameEnd + 1
}

/** The end of true, false or null at `start`, or -1. */
function literalEnd(view: DataView, start: number, end: number): number {
  if (end - start < 5) return -1
  const first = view.getInt32(start, true)
  if (first === TRUE || first === NULL) return start + 4
  return first === FALS && view.getInt32(start + 1, true) === ALSE ? start + 5 : -1
}

/** Keeps the number of a field; false when it may not be that. */
function keepInteger(field: number, value: number, fields: Fields): boolean {
  if (field === IS_DELTA) {
    fields.delta = value
    return true
  }
  if (field !== IS_AT) return field === OTHER
  fields.at = value
  return value >= 0 && value <= AT_MS_MAX
}

/** Points the field at the string in `bytes[start, end)`; false when it may not be that. */
function keepString(
  bytes: Uint8Array,
  field: number,
  start: number,
  end: number,
  fields: Fields,
): boolean {
  const length = end - start
  if (field === IS_ID) {
    fields.idStart = start
    fields.idEnd = end
    return length > 0 && length <= ID_BYTES_MAX
  }
  // A string that starts with a space may be blank.
  if (field === IS_COUNTER) {
    fields.counterStart = start
    fields.counterEnd = end
    return length > 0 && length <= COUNTER_BYTES_MAX && bytes[start] !== SPACE
  }
  if (field === IS_KEY) {
    fields.keyStart = start
    fields.keyEnd = end
    return length > 0 && length <= KEY_BYTES_MAX && bytes[start] !== SPACE
  }
  if (field !== IS_AT) return field === OTHER
  return readPlainTime(bytes, start, end, fields) && fields.at >= 0 && fields.at <= AT_MS_MAX
}

/** Reads the object of plain strings at `start` into `fields.dims` and gives its end, or -1. */
function readDims(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  limit: number,
  end: number,
  fields: Fields,
): number {
  if (bytes[start] !== OPEN_BRACE) return -1
  let i = skipSpace(bytes, start + 1, end)
  if (i < end && bytes[i] === CLOSE_BRACE) return i + 1
  const dims = fields.dims
  let count = 0
  for (;;) {
    if (count === DIMS_MAX || i >= end || bytes[i] !== QUOTE) return -1
    const nameStart = i + 1
    const nameEnd = stringEnd(bytes, view, nameStart, limit)
    if (nameEnd <= nameStart || nameEnd - nameStart > DIM_NAME_BYTES_MAX) return -1
    if (hasDim(bytes, dims, count, nameStart, nameEnd)) return -1
    i = nameEnd + 1
    if (i >= end || bytes[i] !== COLON) return -1
    i = skipSpace(bytes, i + 1, end)
    if (i >= end || bytes[i] !== QUOTE) return -1
    const valueEnd = stringEnd(bytes, view, i + 1, limit)
    if (valueEnd < 0 || valueEnd - i - 1 > DIM_VALUE_BYTES_MAX) return -1
    const at = count * 4
    dims[at] = nameStart
    dims[at + 1] = nameEnd
    dims[at + 2] = i + 1
    dims[at + 3] = valueEnd
    count++
    i = skipSpace(bytes, valueEnd + 1, end)
    if (i >= end || bytes[i] !== COMMA) break
    i = skipSpace(bytes, i + 1, end)
  }
  if (i >= end || bytes[i] !== CLOSE_BRACE) return -1
  fields.dimCount = count
  return i + 1
}

function hasDim(
  bytes: Uint8Array,
  dims: Int32Array,
  count: number,
  nameStart: number,
  nameEnd: number,
): boolean {
  for (let d = 0; d < count; d++) {
    const otherStart = dims[d * 4] as number
    const otherEnd = dims[d * 4 + 1] as number
    if (otherEnd - otherStart !== nameEnd - nameStart) continue
    let k = 0
    while (otherStart + k < otherEnd && bytes[otherStart + k] === bytes[nameStart + k]) k++
    if (otherStart + k === otherEnd) return true
  }
  return false
}

/** The first byte from `start` on that is no white space of JSON's, or `end`. */
function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end) {
    const c = byteAt(bytes, i)
    if (c !== SPACE && c !== 0x0a && c !== 0x0d && c !== 0x09) break
    i++
  }
  return i
}

/**
 * The position of the quote that ends the plain string at `start`, or -1. `limit` is the end of the
 * value, or less where four bytes could not be read; the quote may be up to three bytes behind it,
 * which callers notice, as they go on from there.
 */
function stringEnd(bytes: Uint8Array, view: DataView, start: number, limit: number): number {
  let i = start
  while (i < limit) {
    const x = view.getInt32(i, true)
    // The high bit of a byte gets set by the first term if it is a control character or a quote
    // (0 to 0x20 once bit 1 is flipped), by the second if it is a backslash, by one of them if it
    // is not ASCII. A borrow may set it in the bytes above such a one as well, never below.
    const specials =
      (((x ^ 0x02020202) - 0x21212121) | ((x ^ 0x5c5c5c5c) - 0x01010101)) & 0x80808080
    if (specials !== 0) {
      i += (31 - Math.clz32(specials & -specials)) >>> 3
      return bytes[i] === QUOTE ? i : -1
    }
    i += 4
  }
  return -1
}

/** The first four bytes of an ASCII text as `getInt32` reads them, little-endian. */
function word(text: string): number {
  return Buffer.from(text, 'latin1').readInt32LE(0)
}

/** The callers have compared `position` with the end. */
function byteAt(bytes: Uint8Array, position: number): number {
  return bytes[position] as number
}
