import { CONTRACT_LIMITS, parseContracts } from '@countersink/shared/contracts'
import { checkEvent, type EventInput, isObject } from '@countersink/shared/event'
import { Router } from '@countersink/shared/router'
import { homePartition, recordHash } from '@countersink/shared/routing'
import { addRoutingRecord, emptyRoutingTable } from '@countersink/shared/routing-table'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { borderCheck } from './border-check.ts'
import { EventIntake } from './event-intake.ts'
import { routerOf } from './router-samples.ts'
import { COUNTERS_MAX, SessionIds } from './session-ids.ts'

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
  const intake = new EventIntake(new SessionIds(NOW, known), routerOf(PARTITIONS, NOW), known)
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
      const isAhead = !made && parsed.event.at > NOW + CONTRACT_LIMITS.skewMs
      const other = isAhead ? 'future' : undefined
      expect(reason).toBe(isStrict ? borderCheck(parsed.event, contracts, NOW) : other)
      if (reason !== undefined) return
      const { counter, key, delta, dims } = parsed.event
      expect(intake.lane.counter.name).toBe(counter)
      expect(intake.keyBytes).toBe(Buffer.byteLength(key))
      expect(intake).toMatchObject({ id: made ? undefined : parsed.event.id, key, delta, dims })
      expect(intake.at).toBe(parsed.event.at)
      expect(intake.lane.partition).toBe(homePartition(recordHash(counter, key), PARTITIONS))
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
  const byKey = homePartition(recordHash('views', 'k'), PARTITIONS)
  expect(partitions).toEqual([3, PARTITIONS - 1, byKey])
  expect(byKey).not.toBe(3)
})

test('events of a spread key go to its shards in turn, those with ids by their ids, others stay', () => {
  const record = { format: 1, topicId: 'topic', effectiveAt: 0, partitions: PARTITIONS }
  const spreads = [{ counter: 'views', key: 'hot', ways: 4 }]
  const times = { leaseMs: 1, aheadMs: 1, marginMs: 1 }
  const value = Buffer.from(JSON.stringify({ ...record, version: 1, spreads, ...times }))
  const { table } = addRoutingRecord(emptyRoutingTable('topic'), { value, appendTimeMs: 1 })
  const router = new Router(() => ({ wallMs: NOW, monotonicMs: 0 }))
  router.update(table, PARTITIONS, { wallMs: NOW, monotonicMs: 0 })
  const intake = new EventIntake(new SessionIds(NOW), router, undefined)
  const partitionOfEvent = (key: string, id?: string): number => {
    const input = { counter: 'views', key, at: NOW, ...(id !== undefined && { id }) }
    expect(intake.read(input, NOW)).toBeUndefined()
    return intake.lane.partition
  }
  const made = new Set(Array.from({ length: 8 }, () => partitionOfEvent('hot')))
  const given = Array.from({ length: 100 }, (_, i) => partitionOfEvent('hot', `id ${i}`))
  expect(made.size).toBe(4)
  expect(new Set(given)).toEqual(made)
  expect(Array.from({ length: 100 }, (_, i) => partitionOfEvent('hot', `id ${i}`))).toEqual(given)
  const home = homePartition(recordHash('views', 'cold'), PARTITIONS)
  expect([partitionOfEvent('cold'), partitionOfEvent('cold', 'x')]).toEqual([home, home])
})

test('a made id that names no lane is routed by itself: so will the copy that repeats it', () => {
  const ids = new SessionIds(NOW)
  const intake = new EventIntake(ids, routerOf(PARTITIONS, NOW), undefined)
  for (let i = 0; i < COUNTERS_MAX; i++) ids.counterOf(`c${i}`)
  expect(intake.read({ counter: 'last', key: 'k', at: NOW }, NOW)).toBeUndefined()
  expect(intake.id).toContain('.n.')
  expect(intake.lane.partition).toBe(homePartition(recordHash('last', 'k'), PARTITIONS))
})
