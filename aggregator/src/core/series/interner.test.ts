import { parseContracts } from '@countersink/shared/contracts'
import { homePartition, recordHash } from '@countersink/shared/routing'
import { expect, test } from 'vitest'
import { Columns } from '../columns.ts'
import { CounterStates } from './counter-states.ts'
import { createFields, type Fields } from '../decode/fields.ts'
import { Interner, reasonOfCode } from './interner.ts'
import { hashKeyOf } from '../keyed-hash.ts'
import { ELSEWHERE, Placement, RoutingVersions } from '../routing/placement.ts'
import { RememberedIds } from '../ids/remembered-ids.ts'

const SECRET = hashKeyOf(Buffer.from('0123456789abcdef'))
const APPEND_MAX = 1_000_000
const FUTURE = APPEND_MAX + 300_001

type Given = { counter?: string; key?: string; delta?: number; at?: number; dims?: string[] }

function fieldsOf({ counter = 'c', key = 'k', delta = 1, at = 0, dims = [] }: Given): Fields {
  const fields = createFields()
  const parts: string[] = []
  const put = (text: string): [number, number] => {
    const start = Buffer.byteLength(parts.join(''))
    parts.push(text)
    return [start, start + Buffer.byteLength(text)]
  }
  ;[fields.idStart, fields.idEnd] = put('id')
  ;[fields.counterStart, fields.counterEnd] = put(counter)
  ;[fields.keyStart, fields.keyEnd] = put(key)
  for (let i = 0; i + 1 < dims.length; i += 2) {
    fields.dims.set([...put(dims[i]!), ...put(dims[i + 1]!)], 4 * fields.dimCount++)
  }
  fields.delta = delta
  fields.at = at
  fields.bytes = Buffer.from(parts.join(''))
  return fields
}

function setUp(yaml: string, partition = 0, partitions = 1) {
  const counters = new CounterStates(SECRET, parseContracts(yaml))
  const placement = new Placement(partition, RoutingVersions.fixed(partitions))
  const interner = new Interner(SECRET, counters, new RememberedIds(SECRET), placement)
  const columns = new Columns()
  columns.clear(Buffer.alloc(0))
  const reasonFor = (given: Given): string | undefined => {
    interner.append(fieldsOf(given), APPEND_MAX, columns)
    return reasonOfCode(columns.reason[columns.count - 1]!)
  }
  return { counters, columns, reasonFor }
}

test('I1: an event that is refused leaves no counter behind, as after a crash there would be none', () => {
  const { counters, reasonFor } = setUp(
    'defaults: { deltas: positive, maxDelta: 5, breakdowns: [[a], [b]], maxSeriesPerPartition: 2 }',
  )
  expect(reasonFor({ at: FUTURE })).toBe('future')
  expect(reasonFor({ delta: -1 })).toBe('negative-delta')
  expect(reasonFor({ delta: 6 })).toBe('delta-out-of-bounds')
  expect(reasonFor({})).toBe('series-quota')
  expect(counters.list).toEqual([])
})

test('counters beyond the quota are refused, those below it go on', () => {
  const { reasonFor } = setUp('')
  for (let i = 0; i < 1000; i++) expect(reasonFor({ counter: `c${i}` })).toBeUndefined()
  expect(reasonFor({ counter: 'one more' })).toBe('counter-quota')
  expect(reasonFor({ counter: 'c999', key: 'another' })).toBeUndefined()
})

test('series beyond the quota are refused, those that are known go on', () => {
  const { reasonFor } = setUp('defaults: { maxSeriesPerPartition: 3, breakdowns: [[a]] }')
  expect(reasonFor({ key: 'k1', dims: ['a', 'x'] })).toBeUndefined()
  expect(reasonFor({ key: 'k2' })).toBe('series-quota')
  expect(reasonFor({ key: 'k1', dims: ['a', 'x'] })).toBeUndefined()
})

test('I1: an event brings all of its series or none, also where the quota ends', () => {
  const yaml = 'defaults: { maxSeriesPerPartition: 3, breakdowns: [[a], [b]] }'
  const { counters, reasonFor } = setUp(yaml)
  expect(reasonFor({ key: 'k1', dims: ['a', 'x', 'b', 'y'] })).toBeUndefined()
  const one = setUp('defaults: { maxSeriesPerPartition: 4, breakdowns: [[a], [b]] }')
  expect(one.reasonFor({ key: 'k1' })).toBeUndefined()
  expect(one.reasonFor({ key: 'k1', dims: ['a', 'x', 'b', 'y'] })).toBeUndefined()
  expect(one.reasonFor({ key: 'k1', dims: ['a', 'x', 'b', 'z'] })).toBe('series-quota')
  expect([counters, one.counters].map(({ list }) => list[0]?.dictionary.size)).toEqual([3, 3])
})

test('a strict contract refuses what lies in a foreign partition, also when its series is known', () => {
  const home = homePartition(recordHash('c', 'k'), 2)
  const strict = setUp('defaults: { misrouted: reject }', 1 - home, 2)
  expect(strict.reasonFor({})).toBe('misrouted')
  expect(strict.counters.list).toEqual([])
  expect(setUp('defaults: { misrouted: reject }', home, 2).reasonFor({})).toBeUndefined()
  const lax = setUp('', 1 - home, 2)
  expect(lax.reasonFor({})).toBeUndefined()
  expect(lax.columns.misrouted[0]).toBe(ELSEWHERE)
  // The contract became strict after the series was met.
  const { dictionary } = lax.counters.list[0]!
  const restored = strict.counters.restore('c', 0).dictionary
  restored.deal(dictionary.name(0), 0, 1, 1)
  expect(strict.reasonFor({})).toBe('misrouted')
})

test('a counter that the contracts no longer name keeps its sums and takes no more', () => {
  const { counters, reasonFor } = setUp('unknownCounters: reject\ncounters: { known: }')
  counters.restore('c', 0)
  expect(reasonFor({})).toBe('unknown-counter')
  expect(reasonFor({ counter: 'never heard of' })).toBe('unknown-counter')
  expect(reasonFor({ counter: 'known' })).toBeUndefined()
})
