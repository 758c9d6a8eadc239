/**
 * Postgres' text form of one-dimensional arrays without nulls, `{1,-2,3}`, straight into typed
 * arrays: deltas are mostly short numbers, so their text is shorter than their binary form.
 */
const COMMA = 44
const MINUS = 45
const ZERO = 48
/** So many digits are exact in a double. */
const SAFE_DIGITS = 15

export function parseInt32s(text: string): Int32Array {
  const values = new Int32Array(countOf(text))
  eachNumber(text, (i, start, end) => (values[i] = smallNumber(text, start, end)))
  return values
}

/** For int8 arrays of offsets, times and ids: exact below 2^53. */
export function parseNumbers(text: string): number[] {
  const values: number[] = []
  eachNumber(text, (_i, start, end) => values.push(Number(text.slice(start, end))))
  return values
}

/** `length` gives more room than the text has numbers; the rest is 0. */
export function parseInt64s(text: string, length = countOf(text)): BigInt64Array {
  const values = new BigInt64Array(Math.max(length, countOf(text)))
  eachNumber(text, (i, start, end) => {
    const small = end - start <= SAFE_DIGITS
    values[i] = small ? BigInt(smallNumber(text, start, end)) : BigInt(text.slice(start, end))
  })
  return values
}

function countOf(text: string): number {
  if (text.length <= 2) return 0
  let count = 1
  for (let i = 1; i < text.length; i++) if (text.charCodeAt(i) === COMMA) count++
  return count
}

function eachNumber(text: string, take: (i: number, start: number, end: number) => void): void {
  if (text.length <= 2) return
  let start = 1
  let i = 0
  for (let at = 1; at < text.length - 1; at++) {
    if (text.charCodeAt(at) !== COMMA) continue
    take(i++, start, at)
    start = at + 1
  }
  take(i, start, text.length - 1)
}

function smallNumber(text: string, start: number, end: number): number {
  const negative = text.charCodeAt(start) === MINUS
  let value = 0
  for (let at = negative ? start + 1 : start; at < end; at++) {
    value = value * 10 + (text.charCodeAt(at) - ZERO)
  }
  return negative ? -value : value
}
