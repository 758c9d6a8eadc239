import { parseContracts } from '@countersink/shared/contracts'
import { checkEvent, type EventInput, isObject } from '@countersink/shared/event'
import { partitionOf, recordKey } from '@countersink/shared/routing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { borderCheck } from './border-check.ts'
import { EventIntake } from './event-intake.ts'
import { SessionIds } from './session-ids.ts'

const NOW = 1_700_000_000_000
const PARTITIONS = 12

const contracts = parseContracts(`
unknownCounters: reject
counters:
  views: {deltas: positive, maxDelta: 100}
  "ü": {}
`)

function intakeOf(strict: boolean): EventIntake {
  const known = strict ? contracts : undefined
  const intake = new EventIntake(new SessionIds(NOW, known), known)
  intake.partitions = PARTITIONS
  return intake
}

/** Anything, and often almost an event. */
const text = fc.oneof(
  fc.constantFrom('views', 'ü', 'k', '', ' ', 'a\u0000', '\u0001', '\t', '\ud800', 'x'.repeat(200)),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constant('y'.repeat(1025)),
  fc.anything({ maxDepth: 1 }),
)
const number = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 101, 1.5, NaN, 2 ** 53, -(2 ** 53) + 1, null, undefined, '1', 1n),
  fc.maxSafeInteger(),
)
const at = fc.oneof(
  fc.constantFrom(NOW, -0, -1, 0.5, NOW + 300_000, NOW + 300_001, 253_402_300_800_000, null),
  fc.constantFrom('2026-01-01T00:00:00Z', 'noon', undefined),
  fc.integer({ min: 0, max: NOW }),
)
const input = fc.oneof(
  fc.record(
    { v: fc.constantFrom(1, 2, undefined), id: text, counter: text, key: text, delta: number, at },
    { requiredKeys: [] },
  ),
  fc.record({
    counter: fc.constantFrom('views', 'ü'),
    key: fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
  }),
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 9 }),
    counter: fc.constantFrom('views', 'ü', 'other'),
    key: fc.string({ minLength: 1, unit: 'grapheme' }),
    at: fc.constant(NOW),
    dims: fc.dictionary(fc.string({ maxLength: 3 }), fc.string({ maxLength: 3 })),
  }),
  fc.anything({ maxDepth: 1 }),
)

test('any input gives what the complete check gives, and the partition of all Kafka clients', () => {
  const intakes = [intakeOf(false), intakeOf(true)] as const
  fc.assert(
    fc.property(input, fc.boolean(), (raw, isStrict) => {
      const intake = intakes[isStrict ? 1 : 0]
      const reason = intake.read(raw as EventInput, NOW)
      if (!isObject(raw)) {
        expect(reason).toBe('not-an-object')
        return
      }
      const made = raw['id'] === undefined
      const whole = made ? { ...raw, id: 'made', at: raw['at'] ?? NOW } : raw
      const parsed = checkEvent(whole)
      if (!parsed.ok) {
        expect(reason).toBe(parsed.reason)
        return
      }
      expect(reason).toBe(isStrict ? borderCheck(parsed.event, contracts, NOW) : undefined)
      if (reason !== undefined) return
      const { counter, key, delta, dims } = parsed.event
      expect(intake.lane.counter.name).toBe(counter)
      expect(intake.keyBytes).toBe(Buffer.byteLength(key))
      expect(intake).toMatchObject({ id: made ? undefined : parsed.event.id, key, delta, dims })
      expect(intake.at).toBe(parsed.event.at)
      expect(intake.lane.partition).toBe(partitionOf(recordKey(counter, key), PARTITIONS))
    }),
    { numRuns: 2000 },
  )
})

test('an id that an SDK made goes to the partition that it names, if there is one', () => {
  const intake = intakeOf(false)
  const other = new SessionIds(NOW - 5)
  const counter = other.counterOf('c')
  if (counter === undefined) throw new Error('no counter')
  const partitions = [3, PARTITIONS - 1, PARTITIONS].map((partition) => {
    const id = other.next(other.laneOf(counter, partition))
    expect(intake.read({ id, counter: 'views', key: 'k', at: NOW }, NOW)).toBeUndefined()
    return intake.lane.partition
  })
  const byKey = partitionOf(recordKey('views', 'k'), PARTITIONS)
  expect(partitions).toEqual([3, PARTITIONS - 1, byKey])
  expect(byKey).not.toBe(3)
})
