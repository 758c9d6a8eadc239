const ZERO = 0x30
const PLUS = 0x2b
const MINUS = 0x2d
const DOT = 0x2e
const COLON = 0x3a
const UPPER_T = 0x54
const UPPER_Z = 0x5a

const FRACTION_DIGITS_MAX = 9
const DAY_MS = 86_400_000
const DAYS_OF_MONTH = Uint8Array.of(31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
/** Days of a common year before each month. */
const DAYS_BEFORE_MONTH = Uint16Array.of(0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)

/**
 * Reads the RFC 3339 time in `bytes[start, end)` into `fields.at`, exactly as `parseRfc3339` reads
 * it, but without a string or a Date: `2026-01-31T23:59:59[.123456789](Z|+01:00)`. False when it is
 * something else, an impossible date, or before 1970: then the slow path decides. (Returned, the
 * time would be an object on V8's heap.)
 */
export function readPlainTime(
  bytes: Uint8Array,
  start: number,
  end: number,
  fields: { at: number },
): boolean {
  // Nineteen bytes up to the seconds and at least a Z.
  if (end - start < 20 || bytes[start + 10] !== UPPER_T) return false
  if (bytes[start + 4] !== MINUS || bytes[start + 7] !== MINUS) return false
  if (bytes[start + 13] !== COLON || bytes[start + 16] !== COLON) return false
  const century = twoDigits(bytes, start)
  const yearOfCentury = twoDigits(bytes, start + 2)
  const day = daysSinceEpoch(
    century < 0 || yearOfCentury < 0 ? -1 : century * 100 + yearOfCentury,
    twoDigits(bytes, start + 5),
    twoDigits(bytes, start + 8),
  )
  const hour = twoDigits(bytes, start + 11)
  const minute = twoDigits(bytes, start + 14)
  const second = twoDigits(bytes, start + 17)
  if (day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59) return false
  if (second < 0 || second > 59) return false
  let i = start + 19
  let fractionMs = 0
  if (bytes[i] === DOT) {
    const from = ++i
    let scale = 100
    while (i < end) {
      const digit = byteAt(bytes, i) - ZERO
      if (digit < 0 || digit > 9) break
      // What is finer than a millisecond is cut off.
      if (i - from < 3) fractionMs += digit * scale
      scale = scale === 100 ? 10 : 1
      i++
    }
    if (i === from || i - from > FRACTION_DIGITS_MAX) return false
  }
  const offsetMinutes = readOffset(bytes, i, end)
  if (offsetMinutes === NO_OFFSET) return false
  const seconds = (hour * 60 + minute - offsetMinutes) * 60 + second
  fields.at = day * DAY_MS + seconds * 1000 + fractionMs
  return true
}

const NO_OFFSET = 100 * 60

/** Minutes east of UTC of the `Z` or `+hh:mm` that fills `bytes[start, end)`. */
function readOffset(bytes: Uint8Array, start: number, end: number): number {
  if (end - start === 1) return bytes[start] === UPPER_Z ? 0 : NO_OFFSET
  if (end - start !== 6 || bytes[start + 3] !== COLON) return NO_OFFSET
  const sign = bytes[start]
  if (sign !== PLUS && sign !== MINUS) return NO_OFFSET
  const hours = twoDigits(bytes, start + 1)
  const minutes = twoDigits(bytes, start + 4)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return NO_OFFSET
  return sign === MINUS ? -(hours * 60 + minutes) : hours * 60 + minutes
}

/** Days from 1970-01-01 in the Gregorian calendar, or -1 when there is no such day. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  if (year < 1970 || month < 1 || month > 12 || day < 1) return -1
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const leapDay = leap ? 1 : 0
  if (day > byteAt(DAYS_OF_MONTH, month - 1) + (month === 2 ? leapDay : 0)) return -1
  const before = year - 1
  // 477 leap days lie between year 1 and 1970.
  const leapDays =
    Math.trunc(before / 4) - Math.trunc(before / 100) + Math.trunc(before / 400) - 477
  const daysBefore = (DAYS_BEFORE_MONTH[month - 1] ?? 0) + (month > 2 ? leapDay : 0)
  return (year - 1970) * 365 + leapDays + daysBefore + day - 1
}

/** 0 to 99, or a negative number when one of the two bytes is no digit. */
function twoDigits(bytes: Uint8Array, position: number): number {
  const tens = byteAt(bytes, position) - ZERO
  const ones = byteAt(bytes, position + 1) - ZERO
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : tens * 10 + ones
}

/** The callers have compared `position` with the length. */
function byteAt(bytes: Uint8Array, position: number): number {
  return bytes[position] as number
}
