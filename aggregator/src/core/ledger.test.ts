import { readOutcomes } from '@countersink/shared/outcomes'
import { expect, test } from 'vitest'
import { Ledger, REJECT_VALUE_BYTES_MAX, REJECTS_PER_COMMIT_MAX } from './ledger.ts'

test('keeps the first rejects of a commit, and of each value no more than a bound', () => {
  const ledger = new Ledger()
  ledger.reset(10)
  const value = Buffer.alloc(10_000, 'x')
  for (let i = 0; i < 500; i++) {
    expect(ledger.hasRoom).toBe(i < REJECTS_PER_COMMIT_MAX)
    ledger.keep('invalid', 'not-json', 10 + i, 0, value)
  }
  expect(ledger.rejects).toHaveLength(REJECTS_PER_COMMIT_MAX)
  expect(ledger.rejects[0]).toMatchObject({ offset: 10, reason: 'not-json' })
  expect(ledger.rejects[0]?.value).toHaveLength(REJECT_VALUE_BYTES_MAX)
})

test('a kept value is a copy, and a null value stays null', () => {
  const ledger = new Ledger()
  ledger.reset(0)
  const records = Buffer.from('before')
  ledger.keep('late', null, 0, 0, records)
  ledger.keep('invalid', 'null-value', 1, 0, null)
  records.write('behind')
  expect(ledger.rejects.map(({ value }) => value?.toString())).toEqual(['before', undefined])
})

test('I6: what was read is the sum of the outcomes, and starts over with each commit', () => {
  const ledger = new Ledger()
  ledger.reset(7)
  ledger.applied = 5
  ledger.duplicate = 4
  ledger.conflict = 3
  ledger.late = 2
  ledger.invalid = 1
  ledger.outcomes.add(9, 0, 1)
  expect(ledger.read).toBe(15)
  expect([...readOutcomes(ledger.outcomes.take(), 7)]).toEqual([
    { offset: 9, index: 0, outcome: 'duplicate' },
  ])
  ledger.reset(20)
  expect(ledger.read).toBe(0)
  expect(ledger.rejects).toEqual([])
  expect(ledger.outcomes.byteLength).toBe(0)
})
