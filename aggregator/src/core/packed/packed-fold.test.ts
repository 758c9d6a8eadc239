import { parseContracts } from '@countersink/shared/contracts'
import {
  BODY_POSITION,
  PACKED_LIMITS,
  packedHeaders,
} from '@countersink/shared/packed/packed-format'
import { sealBody } from '@countersink/shared/packed/packed-samples'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fetchedFrom } from '../../../../test/log-batches.ts'
import { Oracle } from '../../../../test/oracle/oracle.ts'
import { snapshotOf } from '../../../../test/state-snapshot.ts'
import { BatchFold } from '../batch-fold.ts'
import { COLUMNS_CAPACITY } from '../columns.ts'
import { sumsOf } from '../state-samples.ts'
import {
  APPEND_TIME,
  batchOf,
  CONTRACT,
  events,
  foldAsJson,
  Log,
  newState,
  packed,
  parts,
  recordsOf,
  SESSION,
} from './packed-log-samples.ts'

test('I1, I2: however events are packed into records and batches, the state is that of JSON', async () => {
  await fc.assert(
    fc.asyncProperty(events, parts, fc.constantFrom(1, 7, Infinity), async (all, some, max) => {
      const log = new Log()
      const rest = { encoding: 'packed' as const, length: Infinity, endsBatch: true, seals: true }
      let at = 0
      for (const { encoding, length, endsBatch, seals } of [...some, rest]) {
        const taken = all.slice(at, at + length)
        at += taken.length
        if (taken.length > 0) log.add(taken, encoding)
        if (endsBatch || seals) await log.fold(max)
        if (seals) log.seal()
      }
      const json = await foldAsJson(all)
      const oracle = new Oracle(CONTRACT)
      for (const one of all) oracle.apply(one, APPEND_TIME)
      expect(log.outcomes).toEqual(oracle.outcomes)
      expect(log.outcomes).toEqual(json.outcomes)
      expect(log.counts).toEqual(json.counts)
      expect(sumsOf(log.state)).toEqual(new Map([...oracle.totals, ...oracle.windows]))
      expect(sumsOf(json.state)).toEqual(sumsOf(log.state))
      const next = log.state.next
      expect({ ...snapshotOf(json.state), next }).toEqual(snapshotOf(log.state))
    }),
    { numRuns: 300 },
  )
})

test('a record with more events than the columns hold is folded whole, and in one go', async () => {
  const count = 2 * COLUMNS_CAPACITY + 100
  const many = Array.from({ length: count }, (_, i) => ({
    ...{ id: `${SESSION}0.1.${i % (count - 10)}`, counter: 'views', key: `k${i % 300}`, delta: 1 },
    ...{ at: 1000 + (i % 5000), dims: i % 3 === 0 ? { a: 'x' } : {} },
  }))
  const log = new Log()
  log.add(many.slice(0, 5), 'json')
  log.add(many.slice(5), 'packed')
  log.add(many.slice(0, 5), 'packed raw')
  await log.fold(Infinity)
  log.seal()
  expect(log.state.next).toBe(7)
  expect(log.counts).toMatchObject({ read: count + 5, duplicate: 15, applied: count - 10 })
  const json = await foldAsJson([...many, ...many.slice(0, 5)])
  expect(log.outcomes).toEqual(json.outcomes)
  expect(sumsOf(log.state)).toEqual(sumsOf(json.state))
})

test('the next offset moves at the ends of records, and the last record is the one before it', async () => {
  const few = Array.from({ length: 6 }, (_, i) => ({
    ...{ id: `i${i}`, counter: 'views', key: 'k', delta: 1, at: 1000 },
  }))
  const records = [...recordsOf(few.slice(0, 3), 'packed'), ...recordsOf(few.slice(3), 'packed')]
  const batch = await batchOf(records, 0)
  const state = newState()
  const fold = new BatchFold()
  for (const next of [1, 2]) {
    fold.run(state, fetchedFrom(0, next - 1, [batch]), 1)
    expect(state.next).toBe(next)
    expect(state.ledger.read).toBe(3 * next)
    const last = fold.lastRecord
    expect(last?.offset).toBe(next - 1)
    expect(last?.records.subarray(last.start, last.end)).toEqual(records[next - 1]?.value)
  }
})

test('a value of 1 MiB is read, one with a byte more is not', async () => {
  const state = newState()
  const records = [0, 1].map((more) => {
    const frame = {
      head: Buffer.from([1, 0, 1, 1, 0x76, 1, 0, 1, 0x6b, 0, 1, 1, 0]),
      tail: [0, 0, 0],
    }
    const length = PACKED_LIMITS.valueBytesMax - BODY_POSITION - frame.head.length - 6 + more
    const prefix = [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]
    const id = Buffer.alloc(length, 'i')
    const value = sealBody(
      Buffer.concat([frame.head, Buffer.from(prefix), id, Buffer.from(frame.tail)]),
    )
    return { key: null, value, headers: [...packedHeaders] }
  })
  expect(records[0]?.value).toHaveLength(PACKED_LIMITS.valueBytesMax)
  new BatchFold().run(state, fetchedFrom(0, 0, [await batchOf(records, 0)]))
  expect(state.ledger.rejects.map(({ reason }) => reason)).toEqual(['bad-id', 'packed-malformed'])
})

test('bad dims are bad also where no breakdown wants them, and the series is known', async () => {
  const state = newState(parseContracts(''))
  const one = { counter: 'views', key: 'k', delta: 1, at: 1000 }
  const record = packed(
    [
      { ...one, id: 'good', dims: { a: 'x' } },
      { ...one, id: 'bad', dims: { ['n'.repeat(65)]: 'x' } },
      { ...one, id: 'good too', dims: { a: 'x' } },
    ],
    'packed',
  )
  new BatchFold().run(state, fetchedFrom(0, 0, [await batchOf([record], 0)]))
  expect(state.ledger.rejects.map(({ index, reason }) => [index, reason])).toEqual([
    [1, 'bad-dims'],
  ])
  expect(state.ledger.applied).toBe(2)
})

test('a reject of a packed record is told as JSON, of one that is damaged the beginning is kept', async () => {
  const state = newState()
  const good = { id: 'a', counter: 'views', key: 'k', delta: 1, at: 1000, dims: { a: 'x' } }
  const bad = { ...good, id: `${SESSION}0.4.7`, delta: 2 ** 41 }
  const value = packed([good, bad, { ...good, delta: 2 }], 'packed').value!
  const damaged = Buffer.from(value)
  damaged[20]! ^= 1
  const records = [value, damaged, value.subarray(0, 7), null].map((one) => ({
    key: null,
    value: one,
    headers: [...packedHeaders],
  }))
  const json = { key: null, value: Buffer.from('{}') }
  new BatchFold().run(state, fetchedFrom(0, 0, [await batchOf([json, ...records], 0)]))
  const told = state.ledger.rejects.map(({ offset, index, outcome, reason, value: kept }) => [
    ...[offset, index, outcome, reason, kept?.toString('latin1')],
  ])
  expect(told).toEqual([
    [0, 0, 'invalid', 'bad-id', '{}'],
    [1, 1, 'invalid', 'delta-out-of-bounds', JSON.stringify(bad)],
    [1, 2, 'conflict', null, JSON.stringify({ ...good, delta: 2 })],
    [2, 0, 'invalid', 'packed-checksum', damaged.toString('latin1')],
    [3, 0, 'invalid', 'packed-malformed', value.toString('latin1', 0, 7)],
    [4, 0, 'invalid', 'null-value', undefined],
  ])
  expect(state.ledger).toMatchObject({ read: 7, applied: 1, conflict: 1, invalid: 5 })
  expect(state.next).toBe(5)
})
