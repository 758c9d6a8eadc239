import { parseContracts } from '@countersink/shared/contracts'
import fc from 'fast-check'
import type { OracleEvent } from './oracle/oracle.ts'
import type { CommitPlan } from './partition-driver.ts'

/** A log has few of everything, so that duplicates, conflicts and late events are common. */
const APPEND_MS = 20_000
/** So many events of the greatest delta leave int64. */
const FLOOD_EVENTS = 1100

/** Each may follow the one before it without a replay. */
export const VERSIONS = [
  'lateness: 8s, windows: [1s, 5s], breakdowns: [[a], [a, b]]',
  'lateness: 5s, windows: [1s, 5s], breakdowns: [[b]], deltas: positive',
  'lateness: 5s, windows: [1s, 5s], maxDelta: 5',
].map((fields) => parseContracts(`defaults: { ${fields} }`))

export type LogItem = OracleEvent | 'garbage' | 'null'
export type LogBatch = { appendTimeMs: number; items: LogItem[] }
/** A log as it is made up, and shown when a property fails. */
export type LogPlan = (LogBatch | { flood: string; sign: 1 | -1; from: number })[]

/** All but the last character of a session's name. */
const SESSION = '0mchx2z1aAZaz09_-AZaz09_'

/** Ids of any form, and those that SDKs make: mostly in order, with holes, some far ahead. */
const id = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((n) => `i${n}`),
  fc.integer({ min: 0, max: 40 }).map((n) => `${SESSION}${n % 2}.${n % 3}.${n >> 1}`),
  fc.nat(3).map((n) => `${SESSION}0.1.${Number.MAX_SAFE_INTEGER - n}`),
)

const event = fc.record({
  id,
  counter: fc.constantFrom('views', 'likes', 'future'),
  key: fc.constantFrom('k1', 'k2', 'k3'),
  delta: fc.oneof(fc.constantFrom(1, -2, 0, 7), fc.maxSafeInteger()),
  at: fc.integer({ min: 0, max: 30_000 }),
  dims: fc.constantFrom({}, { a: 'x' }, { b: 'y', a: 'x' }, { a: 'z', b: 'y' }),
})

/** A counter of its own that is only ever ahead of time leaves no trace. */
const item: fc.Arbitrary<LogItem> = fc.oneof(
  {
    weight: 20,
    arbitrary: event.map((one) => (one.counter === 'future' ? { ...one, at: 1e9 } : one)),
  },
  { weight: 1, arbitrary: fc.constantFrom('garbage' as const, 'null' as const) },
)

const batches = fc.array(
  fc.record({
    appendTimeMs: fc.integer({ min: 0, max: APPEND_MS }),
    items: fc.array(item, { minLength: 1, maxLength: 15 }),
  }),
  { minLength: 1, maxLength: 25 },
)

const plan: fc.Arbitrary<CommitPlan> = fc.record({
  picks: fc.array(fc.boolean(), { maxLength: 7 }),
  cachedMax: fc.constantFrom(0, 3, 1000),
  fails: fc.nat(9).map((n) => n === 0),
})

export type Step =
  | { kind: 'fold'; batches: number; again: number }
  | { kind: 'commit'; plan: CommitPlan }
  | { kind: 'crash'; version: number }
  | { kind: 'zombie'; plan: CommitPlan }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('fold' as const),
      batches: fc.integer({ min: 1, max: 4 }),
      again: fc.nat(2),
    }),
    fc.record({ kind: fc.constant('commit' as const), plan }),
    fc.record({ kind: fc.constant('crash' as const), version: fc.nat(VERSIONS.length - 1) }),
    fc.record({ kind: fc.constant('zombie' as const), plan }),
  ),
  { maxLength: 30 },
)

export function expanded(log: LogPlan): LogBatch[] {
  return log.map((one) => ('flood' in one ? floodOf(one.flood, one.sign, one.from) : one))
}

function floodOf(key: string, sign: number, from: number): LogBatch {
  const delta = sign * Number.MAX_SAFE_INTEGER
  const items = Array.from({ length: FLOOD_EVENTS }, (_, i) => ({
    id: `f${from + i}`,
    counter: 'views',
    key,
    delta,
    at: 100,
    dims: { a: 'x' },
  }))
  return { appendTimeMs: 0, items }
}

export const cases = fc.record({
  log: fc.tuple(batches, fc.nat(5)).map(([log, wide]): LogPlan => {
    if (wide > 0) return log
    const middle = Math.floor(log.length / 2)
    return [
      { flood: 'k1', sign: 1, from: 0 },
      ...log.slice(0, middle),
      { flood: 'k1', sign: -1, from: FLOOD_EVENTS },
      { flood: 'k2', sign: -1, from: 0 },
      ...log.slice(middle),
    ]
  }),
  steps,
})
