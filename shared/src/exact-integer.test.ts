import fc from 'fast-check'
import { expect, test } from 'vitest'
import { exactInteger } from './exact-integer.ts'

test.each([
  ['0', 0],
  ['-0', 0],
  ['-0.000', 0],
  ['0e999999', 0],
  ['1', 1],
  ['-17', -17],
  ['1.0', 1],
  ['1e3', 1000],
  ['1E+3', 1000],
  ['1200e-2', 12],
  ['0.001e3', 1],
  ['1.5e1', 15],
  ['9007199254740991', 9007199254740991],
  ['-9007199254740991', -9007199254740991],
  ['9007199254740991.000', 9007199254740991],
  ['10000000000000000000000e-10', 1_000_000_000_000],
])('%s is exactly an integer', (source, value) => {
  expect(exactInteger(source)).toBe(value)
})

test.each([
  '0.5',
  '1.0000000000000000001',
  '9007199254740991.4',
  '9007199254740992',
  '9007199254740993',
  '-9007199254740992',
  '1e16',
  '1e999',
  '1e-1',
  '1e99999',
  '1e-99999',
  '',
  '-',
  '.5',
  '5.',
  'NaN',
  'Infinity',
  '0x10',
  '1_000',
  ' 1',
])('%s is not', (source) => {
  expect(exactInteger(source)).toBeUndefined()
})

test('never -0', () => {
  for (const source of ['-0', '-0.0', '-0e5']) expect(Object.is(exactInteger(source), 0)).toBe(true)
})

test('agrees with exact arithmetic on any decimal spelling', () => {
  const digits = fc.stringMatching(/^[0-9]{1,20}$/)
  const fraction = fc.option(fc.stringMatching(/^[0-9]{1,12}$/), { nil: '' })
  fc.assert(
    fc.property(
      fc.boolean(),
      digits,
      fraction,
      fc.integer({ min: -20, max: 20 }),
      (neg, whole, part, exponent) => {
        const source = `${neg ? '-' : ''}${whole}${part === '' ? '' : `.${part}`}e${exponent}`
        const scale = exponent - part.length
        const mantissa = BigInt(whole + part) * (neg ? -1n : 1n)
        const divisor = 10n ** BigInt(Math.max(0, -scale))
        const exact = mantissa % divisor === 0n
        const value = scale >= 0 ? mantissa * 10n ** BigInt(scale) : mantissa / divisor
        const safe = exact && value <= 9007199254740991n && value >= -9007199254740991n
        expect(exactInteger(source)).toBe(safe ? Number(value) : undefined)
      },
    ),
  )
})
