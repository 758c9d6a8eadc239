import { parseContracts } from '@countersink/shared/contracts'
import { formatEvent, type Parsed } from '@countersink/shared/event'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { BODY_POSITION } from '@countersink/shared/packed/packed-format'
import { parsePacked } from '@countersink/shared/packed/packed-reader'
import { anyPackedValue, sealBody } from '@countersink/shared/packed/packed-samples'
import { addRoutingRecord, emptyRoutingTable } from '@countersink/shared/routing-table'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Columns } from '../columns.ts'
import { createRandom, mutate, type Random } from '../decode/event-spellings.ts'
import { createFields } from '../decode/fields.ts'
import { reasonOfCode } from '../series/interner.ts'
import { hashKeyOf } from '../keyed-hash.ts'
import { PackedDecoder } from './packed-decoder.ts'
import { packedEventText } from './packed-text.ts'
import { PartitionState } from '../partition-state.ts'
import { RoutingVersions } from '../routing/placement.ts'
import { RecordDecoder } from '../decode/record-decoder.ts'

const INPUTS = 120_000
/** Made by fast-check, which is slow; the others are made of these by changing bytes. */
const SAMPLES = 6000
const FAULTS_SHOWN = 3
/** After so many records both sides start anew, so that their quotas are not full for ever. */
const RECORDS_PER_STATE = 100
const FAR_MS = 253_402_300_799_999
const APPEND_MAX = 1_700_000_050_000

/** Every refusal of a contract is near, and what is refused for quotas soon. */
const CONTRACTS = parseContracts(`
defaults: { lateness: 1h, windows: [1m], breakdowns: [[country], [a0, country]], maxSeriesPerPartition: 5 }
counters:
  views: { deltas: positive, breakdowns: [[country]] }
  likes: { maxDelta: 60, misrouted: reject, breakdowns: [] }
`)

const TOLD = { topicId: 'topic', leaseMs: 0, aheadMs: 0, marginMs: 0 }
const SPREADS = [
  { counter: 'likes', ways: 2 },
  { counter: 'views', key: 'k1', ways: 3 },
]
/** Times and ids decide where events belong, too. */
const ROUTING = new RoutingVersions()
ROUTING.set(
  [
    { ...TOLD, version: 1, effectiveAt: 0, partitions: 3, spreads: [] },
    { ...TOLD, version: 2, effectiveAt: APPEND_MAX - 40_000, partitions: 3, spreads: SPREADS },
    { ...TOLD, version: 3, effectiveAt: APPEND_MAX - 10_000, partitions: 5, spreads: SPREADS },
  ].reduce((table, record) => {
    const value = Buffer.from(JSON.stringify({ format: 1, ...record }))
    return addRoutingRecord(table, { value, appendTimeMs: 1 }).table
  }, emptyRoutingTable('topic')).versions,
)

/** Every other state has met a record of the far future, so that hardly an event is ahead of it. */
function newState(records: number): PartitionState {
  const hashKey = hashKeyOf(Buffer.from('0123456789abcdef'))
  return new PartitionState({
    partition: 1,
    routing: ROUTING,
    hashKey,
    contracts: CONTRACTS,
    next: 0,
    appendMax: records % (2 * RECORDS_PER_STATE) === 0 ? APPEND_MAX : 2 * FAR_MS,
  })
}

/** All that a row says; ids that an SDK made by what they are, others by their hashes. */
function rowText(columns: Columns, row: number): string {
  const { reason, counter, slot, at, delta, lane, sequence, ids, misrouted } = columns
  if (reason[row] !== 0) return `${reasonOfCode(reason[row]!)}`
  const before = row === 0 ? 0 : columns.breakdownEnd[row - 1]!
  const further = columns.breakdownSlots.subarray(before, columns.breakdownEnd[row]).join()
  const id = lane[row]! >= 0 ? `${lane[row]}.${sequence[row]}` : ids.subarray(4 * row, 4 * row + 4)
  const numbers = [counter[row], slot[row], at[row], delta[row], misrouted[row]]
  return `${numbers.map((n) => (Object.is(n, -0) ? '-0' : n)).join(' ')} [${further}] ${String(id)}`
}

/** One side: the fast decoder. Each row is given together with the event's text. */
function createFast(): (value: Buffer) => string[] {
  const decoder = new PackedDecoder()
  const columns = new Columns()
  let state = newState(0)
  let records = 0
  return (value) => {
    if (records % RECORDS_PER_STATE === 0) state = newState(records)
    records++
    const place = { offset: records, records: value, valueStart: 3, valueEnd: value.length - 2 }
    const reason = decoder.open(state, place)
    if (reason !== undefined) return [reason]
    const rows: string[] = []
    for (let more = true; more;) {
      columns.clear(value)
      more = decoder.append(columns)
      for (let row = 0; row < columns.count; row++) {
        const isPlaced = columns.offset[row] === records && columns.index[row] === rows.length
        const text = packedEventText(decoder.record, rows.length)
        const isValid = columns.reason[row] === 0
        rows.push(rowText(columns, row) + (isPlaced ? '' : ' misplaced') + (isValid ? text : ''))
      }
    }
    return rows
  }
}

/** The other: the complete reader, and each of its events as JSON. */
function createSlow(): (value: Buffer) => string[] {
  const decoder = new RecordDecoder(createFields())
  const cursor = new RecordCursor()
  const columns = new Columns()
  let state = newState(0)
  let records = 0
  function rowOf(parsed: Parsed): string {
    columns.clear(Buffer.alloc(0))
    if (!parsed.ok) return parsed.reason
    const json = formatEvent(parsed.event)
    cursor.records = Buffer.from(json)
    cursor.valueStart = 0
    cursor.valueEnd = cursor.records.length
    const reason = decoder.decode(cursor)
    if (reason !== undefined) return `not JSON for ${reason}`
    state.interner.append(decoder.fields, state.appendMax, columns)
    return rowText(columns, 0) + (columns.reason[0] === 0 ? json : '')
  }
  return (value) => {
    if (records % RECORDS_PER_STATE === 0) state = newState(records)
    records++
    const parsed = parsePacked(value.subarray(3, value.length - 2))
    return parsed.ok ? parsed.events.map(rowOf) : [parsed.reason]
  }
}

/** A value in the midst of other bytes, which must never be taken for a part of it. */
function framed(random: Random, value: Buffer): Buffer {
  const around = Buffer.from([random.below(256), random.below(256), 0x80, 0, random.below(256)])
  return Buffer.concat([around.subarray(0, 3), value, around.subarray(3)])
}

/**
 * Other bytes, mostly with a checksum that is right, since what is behind it is what has to be met:
 * a bit or two, after which a value may well be one still, or what is done to JSON as well.
 */
function changed(random: Random, value: Buffer): Buffer {
  if (random.chance(0.05)) return mutate(random, value)
  const body = Buffer.from(value.subarray(Math.min(BODY_POSITION, value.length)))
  if (random.chance(0.3)) return sealBody(mutate(random, body))
  for (let changes = 1 + random.below(2); changes > 0 && body.length > 0; changes--) {
    body[random.below(body.length)]! ^= 1 << random.below(8)
  }
  return sealBody(body)
}

test('I1, I10: any bytes of a packed record give what the complete reader and JSON give', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = createRandom(seed)
  const samples = fc.sample(anyPackedValue, { numRuns: SAMPLES, seed })
  const fast = createFast()
  const slow = createSlow()
  const faults: string[] = []
  const met = new Map<string, number>()
  for (let i = 0; i < INPUTS; i++) {
    const sample = samples[i % SAMPLES]!
    const value = framed(random, i < SAMPLES ? sample : changed(random, sample))
    const rows = fast(value)
    const expected = slow(value)
    const length = Math.max(rows.length, expected.length)
    const at = Array.from({ length }, (_, j) => j).find((j) => rows[j] !== expected[j])
    if (at !== undefined) {
      const what = `${rows[at]} instead of ${expected[at]}, event ${at}`
      faults.push(`${what}, seed ${seed}, input ${i}: ${value.toString('hex')}`)
    }
    for (const row of rows) {
      const kind = /^\d/.test(row) ? 'valid' : row
      met.set(kind, (met.get(kind) ?? 0) + 1)
    }
  }
  expect(faults.slice(0, FAULTS_SHOWN)).toEqual([])
  const often = [...met].filter(([, times]) => times > 5).map(([kind]) => kind)
  expect(often).toEqual(
    expect.arrayContaining([
      'valid',
      ...['packed-malformed', 'packed-checksum', 'unknown-version', 'bad-id', 'bad-counter'],
      ...['bad-key', 'bad-at', 'bad-dims', 'future', 'negative-delta', 'delta-out-of-bounds'],
      ...['misrouted', 'series-quota'],
    ]),
  )
}, 120_000)
