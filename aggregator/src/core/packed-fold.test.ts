import assert from 'node:assert/strict'
import { parseContracts } from '@countersink/shared/contracts'
import {
  encodeRecordBatch,
  noStamp,
  type ProducerRecord,
} from '@countersink/shared/kafka/record-batch-encoder'
import { readOutcomes } from '@countersink/shared/outcomes'
import {
  BODY_POSITION,
  PACKED_LIMITS,
  packedHeaders,
} from '@countersink/shared/packed/packed-format'
import { sealBody } from '@countersink/shared/packed/packed-samples'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { PAGE_SLOTS } from '@countersink/shared/page-format'
import { parseSdkId } from '@countersink/shared/sdk-id'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fetchedFrom } from '../../../test/log-batches.ts'
import { Oracle, type OracleEvent } from '../../../test/oracle/oracle.ts'
import { snapshotOf } from '../../../test/state-snapshot.ts'
import { BatchFold } from './batch-fold.ts'
import { ColdStore } from './cold-samples.ts'
import { COLUMNS_CAPACITY } from './columns.ts'
import type { PartitionState } from './partition-state.ts'
import { emptyState, seal, sumsOf } from './state-samples.ts'

const CONTRACT = {
  latenessMs: 8000,
  windowSizesMs: [1000, 5000],
  breakdowns: [['a'], ['a', 'b']],
  skewMs: 300_000,
  deltaMax: 2 ** 40,
}
const CONTRACTS = parseContracts(
  'defaults: { lateness: 8s, windows: [1s, 5s], breakdowns: [[a], [a, b]], maxDelta: 1099511627776 }',
)
const APPEND_TIME = 20_000
const BATCH_HEADER_BYTES = 61
/** All but the last character of a session's name. */
const SESSION = '0mchx2z1aAZaz09_-AZaz09_'

const dims = fc.constantFrom({}, { a: 'x' }, { a: 'x', b: 'y' }, { a: 'z', b: 'y' }, { c: 'w' })
const event: fc.Arbitrary<OracleEvent> = fc.record({
  id: fc.oneof(
    fc.nat(30).map((n) => `i${n}`),
    fc.nat(60).map((n) => `${SESSION}${n % 2}.${n % 3}.${n >> 1}`),
    fc.nat(5).map((n) => `${SESSION}0.0.${Number.MAX_SAFE_INTEGER - n}`),
  ),
  counter: fc.constantFrom('views', 'likes'),
  key: fc.constantFrom('k1', 'k2', 'k3', 'é'),
  delta: fc.oneof(fc.constantFrom(1, 1, -2, 0), fc.maxSafeInteger()),
  at: fc.oneof(
    { arbitrary: fc.integer({ min: 0, max: 30_000 }), weight: 30 },
    { arbitrary: fc.constantFrom(APPEND_TIME + 300_001, 253_402_300_799_999), weight: 1 },
  ),
  dims,
})
/** Some events on their own, and what an SDK sends: made ids in a row, the same series often. */
const events = fc
  .array(
    fc.oneof(
      fc.array(event, { minLength: 1, maxLength: 20 }),
      fc
        .tuple(event, fc.nat(20), fc.integer({ min: 1, max: 12 }))
        .map(([one, first, length]) =>
          Array.from({ length }, (_, i) => ({ ...one, id: `${SESSION}1.7.${first + i}` })),
        ),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.flat())

/** Of an SDK's ids a packed record may say the parts, or the text as if it were any other. */
type Encoding = 'json' | 'packed' | 'packed raw'
type Part = { encoding: Encoding; length: number; endsBatch: boolean; seals: boolean }
const parts: fc.Arbitrary<Part[]> = fc.array(
  fc.record({
    encoding: fc.constantFrom<Encoding>('json', 'packed', 'packed', 'packed raw'),
    length: fc.integer({ min: 1, max: 40 }),
    endsBatch: fc.boolean(),
    seals: fc.boolean(),
  }),
)

function newState(contracts = CONTRACTS): PartitionState {
  return emptyState(contracts)
}

function packed(some: readonly OracleEvent[], encoding: Encoding): ProducerRecord {
  const writer = new PackedWriter()
  for (const { id, counter, key, at, delta, dims: labels } of some) {
    const sorted = new Map(Object.entries(labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    const made = encoding === 'packed' ? parseSdkId(id) : undefined
    if (made === undefined) writer.addRaw(id, counter, key, sorted, at, delta)
    else writer.addMade(made.session, made.lane, made.sequence, counter, key, sorted, at, delta)
  }
  return { key: null, value: writer.finish(), headers: [...packedHeaders] }
}

function recordsOf(some: readonly OracleEvent[], encoding: Encoding): ProducerRecord[] {
  if (encoding !== 'json') return [packed(some, encoding)]
  return some.map((one) => ({ key: null, value: Buffer.from(JSON.stringify(one)) }))
}

async function batchOf(records: readonly ProducerRecord[], baseOffset: number) {
  const encoded = await encodeRecordBatch(records, 'none', noStamp, APPEND_TIME)
  return {
    baseOffset,
    nextOffset: baseOffset + records.length,
    count: records.length,
    baseTimestampMs: 0,
    maxTimestampMs: APPEND_TIME,
    logAppendTime: true,
    records: encoded.subarray(BATCH_HEADER_BYTES),
  }
}

/** One partition's log, folded as it is written; remembers which event is where in it. */
class Log {
  readonly state = newState()
  readonly outcomes: string[] = []
  readonly #fold = new BatchFold()
  readonly #firstEvent: number[] = []
  #pending: ProducerRecord[] = []
  /** With one, old ids leave the memory whenever the log is sealed. */
  readonly #cold: ColdStore | undefined

  constructor(cold?: ColdStore) {
    this.#cold = cold
  }

  add(some: readonly OracleEvent[], encoding: Encoding): void {
    let first = this.outcomes.length
    for (const record of recordsOf(some, encoding)) {
      this.#firstEvent.push(first)
      this.#pending.push(record)
      first += encoding === 'json' ? 1 : some.length
    }
    for (const _ of some) this.outcomes.push('applied')
  }

  /**
   * Folds what was added, as one stored batch, so many events a call at least. Gives how often ids
   * had to be looked for; with `seals`, what was folded before them is sealed first.
   */
  async fold(eventsMax: number, seals = false): Promise<number> {
    let waits = 0
    if (this.#pending.length === 0) return waits
    const batch = await batchOf(this.#pending, this.state.next)
    this.#pending = []
    while (this.state.next < batch.nextOffset) {
      const { next } = this.state
      const stop = this.#fold.run(this.state, fetchedFrom(0, next, [batch]), eventsMax)
      if (stop !== undefined) throw new Error(stop.reason)
      if (this.#fold.lacks) {
        waits++
        if (seals) this.seal()
        this.#cold!.answer(this.state)
      } else if (this.state.next === next) {
        throw new Error(`offset ${next} is not passed`)
      }
    }
    return waits
  }

  seal(): void {
    const { state } = this
    this.#expectSeries()
    for (const { offset, index, outcome } of readOutcomes(
      state.ledger.outcomes.take(),
      state.first,
    )) {
      this.outcomes[this.#firstEvent[offset]! + index] = outcome
    }
    seal(state)
    state.ledger.outcomes.reset(state.next)
    this.#cold?.cool(state)
  }

  /** A commit has the series of all sums that it has. */
  #expectSeries(): void {
    const { open, counters, unfolded, next } = this.state
    for (const { counter, directory } of open.families()) {
      const size = unfolded.foldedSize(counter, counters.list[counter]!, next)
      for (const [page, block] of directory.entries()) {
        for (let index = 0; block >= 0 && index < PAGE_SLOTS; index++) {
          assert(!open.isTouched(block, index) || page * PAGE_SLOTS + index < size)
        }
      }
    }
  }

  get counts() {
    const { read, applied, duplicate, conflict, late, invalid } = this.state.ledger
    return { read, applied, duplicate, conflict, late, invalid }
  }
}

async function foldAsJson(all: readonly OracleEvent[]): Promise<Log> {
  const log = new Log()
  log.add(all, 'json')
  await log.fold(Infinity)
  log.seal()
  return log
}

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

/** Few ids, of few series, and few late events. */
function narrowed(one: OracleEvent): OracleEvent {
  const at = one.at > 30_000 ? one.at : 12_000 + (one.at % 9000)
  const number = Number(/\d+$/.exec(one.id)?.[0] ?? 0)
  const id = number % 4 === 0 ? one.id : `i${number % 10}`
  return { ...one, at, id, key: one.key === 'é' ? 'é' : 'k1', delta: one.delta > 7 ? 1 : one.delta }
}

test('I1, I5: where old ids are not in memory every event has the outcome that it would have there', async () => {
  const store = new ColdStore()
  await fc.assert(
    fc.asyncProperty(events, parts, fc.constantFrom(1, 7, Infinity), async (made, some, max) => {
      const all = made.map(narrowed)
      const log = new Log(store)
      const plan = [...some, { encoding: 'packed raw' as const, length: 1, endsBatch: true }]
      for (let at = 0, i = 0; at < all.length; i++) {
        const { encoding, length, endsBatch } = plan[i % plan.length]!
        const taken = all.slice(at, at + Math.ceil(length / 4))
        at += taken.length
        log.add(taken, encoding)
        if (!endsBatch && at < all.length) continue
        await log.fold(max)
        log.seal()
      }
      const oracle = new Oracle(CONTRACT)
      for (const one of all) oracle.apply(one, APPEND_TIME)
      expect(log.outcomes).toEqual(oracle.outcomes)
      expect(sumsOf(log.state)).toEqual(new Map([...oracle.totals, ...oracle.windows]))
      const json = snapshotOf((await foldAsJson(all)).state)
      const { counters, appendMax } = snapshotOf(log.state)
      expect({ counters, appendMax }).toEqual({
        counters: json.counters,
        appendMax: json.appendMax,
      })
    }),
    { numRuns: 300 },
  )
  expect(store.runs).toBeGreaterThan(100)
  expect(store.found).toBeGreaterThan(100)
})

/** What is in no memory any more when the rest of the log comes. */
const OLD = Array.from({ length: 10 }, (_, i) => ({
  ...{ id: `i${i}`, counter: 'views', key: `k${i}`, delta: 1, at: i < 9 ? 13_000 : APPEND_TIME },
}))

/** A copy of an old event now and then, many series, and ids in ranges where the encoding has them. */
function widened(one: OracleEvent, i: number, encoding: Encoding): OracleEvent {
  if (encoding === 'packed') return { ...newOf(one, i), id: `${SESSION}1.5.${i}` }
  return i % 3 === 0 ? OLD[i % 9]! : newOf(one, i)
}

function newOf({ counter, at, dims: labels }: OracleEvent, i: number): OracleEvent {
  const key = `k${(i * 7 + at) % 50}`
  return { id: `n${i}`, counter, key, delta: 1, at: 14_000 + (at % 5000), dims: labels ?? {} }
}

test('I1, I3: read behind rows that wait for old ids, series get the slots of the order of the log', async () => {
  const store = new ColdStore()
  let waits = 0
  await fc.assert(
    fc.asyncProperty(events, parts, fc.constantFrom(1, 7, Infinity), async (made, some, max) => {
      const all: OracleEvent[] = [...OLD]
      const log = new Log(store)
      log.add(OLD, 'json')
      await log.fold(Infinity)
      log.seal()
      const plan = [...some, { encoding: 'packed raw' as const, length: 8, endsBatch: true }]
      for (let at = 0, i = 0; at < made.length; i++) {
        const { encoding, length, endsBatch } = plan[i % plan.length]!
        const taken = made.slice(at, at + Math.ceil(length / 4))
        const wide = taken.map((one, n) => widened(one, at + n, encoding))
        at += taken.length
        all.push(...wide)
        log.add(wide, encoding)
        if ((!endsBatch || i % 3 > 0) && at < made.length) continue
        waits += await log.fold(max, true)
        log.seal()
      }
      const oracle = new Oracle(CONTRACT)
      for (const one of all) oracle.apply(one, APPEND_TIME)
      expect(log.outcomes).toEqual(oracle.outcomes)
      const { counters } = snapshotOf((await foldAsJson(all)).state)
      expect(snapshotOf(log.state).counters).toEqual(counters)
    }),
    { numRuns: 200 },
  )
  expect(waits).toBeGreaterThan(100)
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
