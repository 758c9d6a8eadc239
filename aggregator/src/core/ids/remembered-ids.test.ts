import { parseContracts } from '@countersink/shared/contracts'
import { formatSdkId } from '@countersink/shared/sdk-id'
import { expect, test } from 'vitest'
import { Columns } from '../columns.ts'
import { createFields, type Fields } from '../decode/fields.ts'
import { fold } from '../fold.ts'
import { ID_WORDS } from './id-shape.ts'
import { hashKeyOf } from '../keyed-hash.ts'
import { PartitionState } from '../partition-state.ts'
import { RoutingVersions } from '../routing/placement.ts'

const HASH_KEY = hashKeyOf(Buffer.from('0123456789abcdef'))
const LATENESS_MS = 8000
const BUCKET_MS = LATENESS_MS / 8
const AT = 100_500
const ID = formatSdkId('0mchx2z1aAZaz09_-AZaz09_-', 3, 17)

function newState(): PartitionState {
  const contracts = parseContracts('defaults: { lateness: 8s, windows: [1s] }')
  const routing = RoutingVersions.fixed(1)
  const settings = { partition: 0, routing, hashKey: HASH_KEY, contracts }
  return new PartitionState({ ...settings, next: 0, appendMax: 1e12 })
}

function fieldsOf(id: string, at: number): Fields {
  const bytes = Buffer.from(`viewsk${id}`)
  const ends = { counterEnd: 5, keyStart: 5, keyEnd: 6, idStart: 6, idEnd: bytes.length }
  return { ...createFields(), ...ends, bytes, delta: 1, at }
}

function decode(state: PartitionState, id: string, at: number): Columns {
  const columns = new Columns()
  columns.clear(Buffer.alloc(0))
  columns.offset[0] = state.next++
  columns.valueStart[0] = -1
  state.interner.append(fieldsOf(id, at), 1e12, columns)
  return columns
}

/** What became of one event. */
function outcome(state: PartitionState, id: string, at: number): string {
  const { applied, duplicate, late } = state.ledger
  fold(state, decode(state, id, at))
  if (state.ledger.applied > applied) return 'applied'
  return state.ledger.duplicate > duplicate ? 'duplicate' : state.ledger.late > late ? 'late' : '?'
}

/** A state that an earlier version left: the SDK's id is a hash, in a commit without a mark. */
function stateFromBefore(): PartitionState {
  const state = newState()
  expect(outcome(state, 'another', AT)).toBe('applied')
  const end = (Math.floor(AT / BUCKET_MS) + 1) * BUCKET_MS
  state.ids.noteHashedMade(0, end)
  const { ids } = decode(state, ID, AT)
  state.ids.hashed.insert(state.ids.hashed.bucket(0, end, 0), ids.slice(0, ID_WORDS), 0)
  return state
}

test('I5: an id of an SDK that was hashed, before there were intervals, is still known', () => {
  const state = stateFromBefore()
  expect(outcome(state, ID, AT)).toBe('duplicate')
  const other = formatSdkId('0mchx2z1aAZaz09_-AZaz09_-', 3, 18)
  expect(outcome(state, other, AT)).toBe('applied')
  expect(outcome(state, other, AT)).toBe('duplicate')
  expect([state.ids.hashed.size, state.ids.intervals.sequences]).toEqual([2, 1])
  expect(state.ids.mayBeHashed(0)).toBe(true)
  // One lateness on, no such hash is left, and none is looked for.
  expect(outcome(state, 'later', AT + LATENESS_MS + BUCKET_MS)).toBe('applied')
  expect(state.ids.mayBeHashed(0)).toBe(false)
  expect(outcome(state, ID, AT)).toBe('late')
})

test('a state of today does not hash the ids of SDKs, nor look for them there', () => {
  const state = newState()
  expect(outcome(state, ID, AT)).toBe('applied')
  expect(outcome(state, ID, AT + 1)).toBe('duplicate')
  expect([state.ids.hashed.size, state.ids.intervals.sequences]).toEqual([0, 1])
})

test('the floor is the first commit that holds something remembered, hashed or made', () => {
  const state = newState()
  expect(state.ids.floor(9)).toBe(9)
  state.first = 4
  outcome(state, ID, AT)
  state.first = 6
  outcome(state, 'hashed', AT)
  expect(state.ids.floor(9)).toBe(4)
  outcome(state, 'later', AT + LATENESS_MS + BUCKET_MS)
  expect(state.ids.floor(9)).toBe(6)
})
