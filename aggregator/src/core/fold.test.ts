import type { Contracts } from '@countersink/shared/contracts'
import { DEFAULT_CONTRACT } from '@countersink/shared/contracts'
import { readOutcomes } from '@countersink/shared/outcomes'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Oracle, type OracleEvent } from '../../../test/oracle/oracle.ts'
import { Columns } from './columns.ts'
import { createFields, type Fields } from './decode/fields.ts'
import { fold } from './fold.ts'
import type { PartitionState } from './partition-state.ts'
import { emptyState, seal, sumsOf } from './state-samples.ts'

const LATENESS_MS = 8000
const SIZES_MS = [1000, 5000]
const BREAKDOWNS = [['a'], ['a', 'b']]
const CONTRACTS: Contracts = {
  counters: new Map(),
  fallback: {
    ...DEFAULT_CONTRACT,
    latenessMs: LATENESS_MS,
    windowSizesMs: SIZES_MS,
    breakdowns: BREAKDOWNS,
  },
}

const { MAX_SAFE_INTEGER } = Number
/** All but the last character of a session's name. */
const SESSION = '0mchx2z1aAZaz09_-AZaz09_'

/**
 * Events with few ids (some of the form that SDKs make), keys and times, so that duplicates,
 * conflicts and late ones are common.
 */
const event = fc.record({
  id: fc.oneof(
    fc.integer({ min: 0, max: 30 }).map((n) => `i${n}`),
    fc.integer({ min: 0, max: 30 }).map((n) => `${SESSION}${n % 2}.${n % 3}.${n >> 1}`),
    fc.integer({ min: 0, max: 5 }).map((n) => `${SESSION}0.0.${MAX_SAFE_INTEGER - n}`),
  ),
  counter: fc.constantFrom('views', 'likes'),
  key: fc.constantFrom('k1', 'k2', 'k3'),
  delta: fc.oneof(fc.constantFrom(1, -2, 0), fc.maxSafeInteger()),
  at: fc.integer({ min: 0, max: 30_000 }),
  dims: fc.constantFrom({}, { a: 'x' }, { b: 'y', a: 'x' }, { a: 'z', b: 'y' }),
})
const log = fc.array(event, { maxLength: 200 })

function newState(): PartitionState {
  return emptyState(CONTRACTS)
}

function fieldsOf(event: OracleEvent): Fields {
  const fields = createFields()
  const parts: Buffer[] = []
  let length = 0
  const put = (text: string): [number, number] => {
    const bytes = Buffer.from(text)
    parts.push(bytes)
    length += bytes.length
    return [length - bytes.length, length]
  }
  ;[fields.idStart, fields.idEnd] = put(event.id)
  ;[fields.counterStart, fields.counterEnd] = put(event.counter)
  ;[fields.keyStart, fields.keyEnd] = put(event.key)
  for (const [name, value] of Object.entries(event.dims ?? {})) {
    fields.dims.set([...put(name), ...put(value)], 4 * fields.dimCount++)
  }
  fields.delta = event.delta
  fields.at = event.at
  fields.bytes = Buffer.concat(parts)
  return fields
}

const APPEND_TIME = 20_000

function foldBatch(state: PartitionState, events: readonly OracleEvent[]): void {
  const columns = new Columns()
  columns.clear(Buffer.alloc(0))
  state.appendMax = Math.max(state.appendMax, APPEND_TIME - 300_000)
  for (const one of events) {
    const row = columns.count
    columns.offset[row] = state.next++
    columns.valueStart[row] = -1
    state.interner.append(fieldsOf(one), state.appendMax, columns)
  }
  fold(state, columns)
}

function oracleOf(events: readonly OracleEvent[]): Oracle {
  const oracle = new Oracle({
    latenessMs: LATENESS_MS,
    windowSizesMs: SIZES_MS,
    breakdowns: BREAKDOWNS,
    skewMs: 300_000,
  })
  for (const one of events) oracle.apply(one, APPEND_TIME - 300_000)
  return oracle
}

function outcomesOf(state: PartitionState, count: number): string[] {
  const outcomes = Array.from({ length: count }, () => 'applied')
  for (const entry of readOutcomes(state.ledger.outcomes.take(), 0)) {
    outcomes[entry.offset] = entry.outcome
  }
  return outcomes
}

test('I1, I5, I6: outcomes and sums equal an oracle that shares no code', () => {
  fc.assert(
    fc.property(log, (events) => {
      const state = newState()
      foldBatch(state, events)
      seal(state)
      const oracle = oracleOf(events)
      expect(outcomesOf(state, events.length)).toEqual(oracle.outcomes)
      const { ledger } = state
      expect(ledger.read).toBe(events.length)
      expect(ledger.applied).toBe(oracle.count('applied'))
      expect(sumsOf(state)).toEqual(new Map([...oracle.totals, ...oracle.windows]))
    }),
    { numRuns: 500 },
  )
})

test('I2, I13: any split into batches and commits, and any order of page writes, gives the same', () => {
  const cuts = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.boolean(), fc.nat(6)))
  fc.assert(
    fc.property(log, cuts, (events, splits) => {
      const state = newState()
      let at = 0
      for (const [length, sealed, pages] of [...splits, [events.length + 1, true, 0] as const]) {
        foldBatch(state, events.slice(at, at + length))
        at += length
        if (!sealed) continue
        seal(state)
        for (const block of state.dirt.oldest(pages)) state.dirt.clean(block, state.next)
        expect(state.dirt.floor(state.next)).toBeLessThanOrEqual(state.next)
      }
      const oracle = oracleOf(events)
      expect(outcomesOf(state, events.length)).toEqual(oracle.outcomes)
      expect(sumsOf(state)).toEqual(new Map([...oracle.totals, ...oracle.windows]))
      const dirty = [...state.dirt.oldest(1e6)]
      const entries = dirty.reduce((sum, block) => sum + state.dirt.sums.countTouched(block), 0)
      expect(state.dirt.entries).toBe(entries)
    }),
    { numRuns: 500 },
  )
})
