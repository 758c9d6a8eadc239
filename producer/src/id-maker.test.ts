import { LIMITS } from '@countersink/shared/event'
import { expect, test } from 'vitest'
import { createIdMaker } from './id-maker.ts'

test('ids are dense in each lane and never the same', () => {
  const make = createIdMaker(1_700_000_000_000)
  const ids = [make(0), make(7), make(0), make(7), make(0)]
  const session = ids[0]?.split('.')[0]
  expect(ids.map((id) => id.replace(`${session}.`, ''))).toEqual([
    '0.0',
    '7.0',
    '0.1',
    '7.1',
    '0.2',
  ])
})

test('sessions differ even in the same millisecond, and sort by their start', () => {
  const sessions = new Set(Array.from({ length: 1000 }, () => createIdMaker(5)(0)))
  expect(sessions.size).toBe(1000)
  const early = createIdMaker(1_700_000_000_000)(9)
  const late = createIdMaker(1_700_000_000_001)(0)
  expect(early < late).toBe(true)
  expect(createIdMaker(0)(0) < early).toBe(true)
})

test('an id is short', () => {
  expect(createIdMaker(Date.now())(9999).length).toBeLessThan(48)
  expect(LIMITS.idBytesMax).toBeGreaterThan(48)
})
