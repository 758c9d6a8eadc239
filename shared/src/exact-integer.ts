const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
/** 2^53 has 16 digits: with more before the zeros no safe integer is left. */
const DIGITS_MAX = 16
const EXPONENT_DIGITS_MAX = 4

/**
 * The value of a JSON number if it is exactly an integer within 2^53 - 1, else undefined.
 * `1.0`, `1e3` and `1200e-2` are integers; `0.5`, `9007199254740993` and `1e999` are not ours.
 */
export function exactInteger(source: string): number | undefined {
  const m = NUMBER.exec(source)
  if (m === null) return undefined
  const fraction = m[3] ?? ''
  const digits = (m[2]! + fraction).replace(/^0+/, '')
  if (digits === '') return 0
  const exponentText = (m[4] ?? '0').replace(/^([+-]?)0+(?=\d)/, '$1')
  if (exponentText.length > EXPONENT_DIGITS_MAX + 1) return undefined
  const significant = digits.replace(/0+$/, '')
  const zeros = digits.length - significant.length + Number(exponentText) - fraction.length
  if (zeros < 0 || significant.length + zeros > DIGITS_MAX) return undefined
  const value = Number(m[1]! + significant + '0'.repeat(zeros))
  return Number.isSafeInteger(value) ? value : undefined
}
