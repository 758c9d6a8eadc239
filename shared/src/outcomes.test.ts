import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  APPLIED,
  CONFLICT,
  DUPLICATE,
  INVALID,
  LATE,
  OUTCOMES,
  OutcomeWriter,
  readOutcomes,
} from './outcomes.ts'

const entries = fc
  .record({
    first: fc.maxSafeInteger().map(Math.abs),
    steps: fc.array(
      fc.record({
        step: fc.oneof(fc.nat(3), fc.nat(2 ** 31), fc.nat(2 ** 40)),
        index: fc.oneof(fc.constant(0), fc.nat(5000)),
        code: fc.constantFrom(DUPLICATE, CONFLICT, LATE, INVALID),
      }),
      { maxLength: 300 },
    ),
  })
  .filter(({ first, steps }) => first + steps.length * 2 ** 40 < Number.MAX_SAFE_INTEGER)

test('the stored codes are the positions in the list of outcomes', () => {
  expect([APPLIED, DUPLICATE, CONFLICT, LATE, INVALID].map((code) => OUTCOMES[code])).toEqual([
    'applied',
    'duplicate',
    'conflict',
    'late',
    'invalid',
  ])
})

test('what is written is read back, whatever was written before', () => {
  const writer = new OutcomeWriter()
  fc.assert(
    fc.property(entries, ({ first, steps }) => {
      writer.reset(first)
      let offset = first
      const expected = steps.map(({ step, index, code }) => {
        offset += step
        writer.add(offset, index, code)
        return { offset, index, outcome: OUTCOMES[code] }
      })
      const bytes = writer.take()
      expect(bytes.length).toBe(writer.byteLength)
      expect([...readOutcomes(bytes, first)]).toEqual(expected)
    }),
  )
})

test('an entry that follows closely takes two bytes', () => {
  const writer = new OutcomeWriter()
  writer.reset(5_000_000_000)
  for (let i = 0; i < 1000; i++) writer.add(5_000_000_000 + i, 0, DUPLICATE)
  expect(writer.byteLength).toBe(2000)
})

test('a copy that was taken stays as it is', () => {
  const writer = new OutcomeWriter()
  writer.reset(0)
  writer.add(7, 0, LATE)
  const bytes = writer.take()
  writer.reset(0)
  writer.add(9, 3, INVALID)
  expect([...readOutcomes(bytes, 0)]).toEqual([{ offset: 7, index: 0, outcome: 'late' }])
})

test('bytes that are cut or have an unknown code are not read as something else', () => {
  expect(() => [...readOutcomes(Uint8Array.of(1), 0)]).toThrow(RangeError)
  expect(() => [...readOutcomes(Uint8Array.of(1, 0x80), 0)]).toThrow(RangeError)
  expect(() => [...readOutcomes(Uint8Array.of(9, 1), 0)]).toThrow(RangeError)
  expect(() => [...readOutcomes(Uint8Array.of(7, 1), 0)]).toThrow(RangeError)
})
