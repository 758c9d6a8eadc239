/*
 * What decoding costs: nanoseconds an event of each shape, from a section of records to filled
 * fields, on to rows of columns (counter, slot and id as numbers, all series known before), and the
 * bytes that leaves for the garbage collector. Of a packed record the first step is the whole check
 * of the value, and what its events have in common is done once.
 *
 *     node bench/decode.ts
 */
import { Columns, COLUMNS_CAPACITY } from '@countersink/aggregator/core/columns'
import { createFields } from '@countersink/aggregator/core/decode/fields'
import { hashKeyOf } from '@countersink/aggregator/core/keyed-hash'
import { PackedDecoder } from '@countersink/aggregator/core/packed/packed-decoder'
import { PackedRecord } from '@countersink/aggregator/core/packed/packed-record'
import { PartitionState } from '@countersink/aggregator/core/partition-state'
import { RoutingVersions } from '@countersink/aggregator/core/routing/placement'
import { RecordDecoder } from '@countersink/aggregator/core/decode/record-decoder'
import { parseContracts } from '@countersink/shared/contracts'
import type { RecordBatch } from '@countersink/shared/kafka/fetched-batch'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import {
  encodeRecordBatch,
  noStamp,
  type ProducerRecord,
} from '@countersink/shared/kafka/record-batch-encoder'
import { packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'

const BATCHES = 20
const RECORDS = 1000
const ROUNDS = 40
const KEYS = 100_000
/** Bytes of a stored batch before its records. */
const BATCH_HEADER_BYTES = 61

type Shape = (id: string, key: number, delta: number, at: number) => string

const shapes: Record<string, Shape> = {
  'as the SDK writes it': (id, key, delta, at) =>
    `{"id":"${id}","counter":"video_views","key":"k${key}","delta":${delta},"at":${at}}`,
  'short id': (id, key, delta, at) =>
    `{"id":"${id.slice(0, 8)}","counter":"views","key":"k${key}","delta":${delta},"at":${at}}`,
  'spaces, another order': (id, key, delta, at) =>
    `{"counter": "video_views", "key": "k${key}", "at": ${at}, "delta": ${delta}, "id": "${id}"}`,
  'RFC 3339 time': (id, key, delta, at) =>
    `{"id":"${id}","counter":"video_views","key":"k${key}","delta":${delta},"at":"${new Date(at).toISOString()}"}`,
  'two dims': (id, key, delta, at) =>
    `{"id":"${id}","counter":"video_views","key":"k${key}","delta":${delta},"at":${at},"dims":{"country":"de","device":"phone"}}`,
  'two further fields': (id, key, delta, at) =>
    `{"id":"${id}","counter":"video_views","key":"k${key}","delta":${delta},"at":${at},"trace":"${id}","retry":false}`,
  'slow path (an escape)': (id, key, delta, at) =>
    `{"id":"${id}","counter":"video_views","key":"k\\u0031${key}","delta":${delta},"at":${at}}`,
  'slow path (CloudEvent)': (id, key, delta, at) =>
    `{"specversion":"1.0","id":"${id}","source":"/player","type":"video_views","subject":"k${key}","time":"${new Date(at).toISOString()}","data":{"delta":${delta}}}`,
}

/** The same events packed, 1000 in a record. */
type PackedShape = { keys: number; isMade: boolean; dims?: ReadonlyMap<string, string> }

const twoDims = new Map([
  ['country', 'de'],
  ['device', 'phone'],
])
const packedShapes: Record<string, PackedShape> = {
  'packed, ids of an SDK': { keys: KEYS, isMade: true },
  'packed, 100 series': { keys: 100, isMade: true },
  'packed, two dims': { keys: KEYS, isMade: true, dims: twoDims },
  'packed, ids as texts': { keys: KEYS, isMade: false },
}

/** Skewed as real keys are, so that their lengths differ. */
function someKey(keys: number): number {
  return Math.floor(Math.random() ** 3 * keys)
}

function jsonRecords(shape: Shape, number: number): ProducerRecord[] {
  return Array.from({ length: RECORDS }, (_, i) => {
    const n = number * RECORDS + i
    const key = someKey(KEYS)
    const text = shape(crypto.randomUUID(), key, 1 + (n % 12), 1_700_000_000_000 + n)
    return { key: Buffer.from(`video_views/k${key}`), value: Buffer.from(text) }
  })
}

function packedRecords({ keys, isMade, dims }: PackedShape, number: number): ProducerRecord[] {
  const writer = new PackedWriter()
  for (let n = number * RECORDS; n < (number + 1) * RECORDS; n++) {
    const event = ['video_views', `k${someKey(keys)}`, dims] as const
    const [at, delta] = [1_700_000_000_000 + n, 1 + (n % 12)]
    if (isMade) writer.addMade('0mchx2z1aAZaz09_-AZaz09_A', 1, n, ...event, at, delta)
    else writer.addRaw(crypto.randomUUID(), ...event, at, delta)
  }
  return [{ key: null, value: writer.finish(), headers: [...packedHeaders] }]
}

async function batchOf(records: ProducerRecord[], number: number): Promise<RecordBatch> {
  const batch = await encodeRecordBatch(records, 'none', noStamp, 1_700_000_000_000)
  const baseOffset = number * RECORDS
  const times = { baseTimestampMs: 0, maxTimestampMs: 0, logAppendTime: false }
  const section = batch.subarray(BATCH_HEADER_BYTES)
  return {
    ...times,
    baseOffset,
    nextOffset: baseOffset + records.length,
    count: records.length,
    records: section,
  }
}

function walk(cursor: RecordCursor, batches: readonly RecordBatch[]): number {
  let sum = 0
  for (const batch of batches) {
    cursor.open(batch, 0)
    while (cursor.next()) sum += cursor.valueEnd - cursor.valueStart
  }
  return sum
}

/** What is measured: to fields, or the check of a packed value; and from there to rows. */
type Side = { decode(cursor: RecordCursor): void; rows(cursor: RecordCursor): void }

function must(reason: string | undefined): void {
  if (reason !== undefined) throw new Error(`an event of the benchmark is invalid: ${reason}`)
}

function newState(): PartitionState {
  return new PartitionState({
    partition: 0,
    routing: RoutingVersions.fixed(1),
    hashKey: hashKeyOf(Buffer.from('0123456789abcdef')),
    contracts: parseContracts('defaults: { breakdowns: [[country]] }'),
    next: 0,
    appendMax: 1_800_000_000_000,
  })
}

function jsonSide(): Side {
  const decoder = new RecordDecoder(createFields())
  const { interner, appendMax } = newState()
  const columns = new Columns()
  return {
    decode: (cursor) => must(decoder.decode(cursor)),
    rows(cursor) {
      if (columns.count === COLUMNS_CAPACITY) columns.clear(cursor.records)
      must(decoder.decode(cursor))
      interner.append(decoder.fields, appendMax, columns)
    },
  }
}

function packedSide(): Side {
  const record = new PackedRecord()
  const decoder = new PackedDecoder()
  const state = newState()
  const columns = new Columns()
  return {
    decode: ({ records, valueStart, valueEnd }) => must(record.read(records, valueStart, valueEnd)),
    rows(cursor) {
      must(decoder.open(state, cursor))
      for (let more = true; more;) {
        columns.clear(cursor.records)
        more = decoder.append(columns)
      }
    },
  }
}

function each(
  cursor: RecordCursor,
  batches: readonly RecordBatch[],
  use: (cursor: RecordCursor) => void,
): void {
  for (const batch of batches) {
    cursor.open(batch, 0)
    while (cursor.next()) use(cursor)
  }
}

/** Nanoseconds an event in the best round, and heap bytes an event in the median one. */
function measure(run: () => unknown): { ns: number; bytes: number } {
  const times: number[] = []
  const heap: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.memoryUsage().heapUsed
    const begun = process.hrtime.bigint()
    run()
    times.push(Number(process.hrtime.bigint() - begun))
    heap.push(process.memoryUsage().heapUsed - before)
  }
  const events = BATCHES * RECORDS
  const median = heap.toSorted((a, b) => a - b)[ROUNDS / 2] ?? 0
  return { ns: Math.min(...times) / events, bytes: median / events }
}

async function report(
  name: string,
  side: Side,
  records: (number: number) => ProducerRecord[],
): Promise<void> {
  const cursor = new RecordCursor()
  const batches: RecordBatch[] = []
  for (let i = 0; i < BATCHES; i++) batches.push(await batchOf(records(i), i))
  const size = walk(cursor, batches) / BATCHES / RECORDS
  const walking = measure(() => walk(cursor, batches))
  const decoding = measure(() => each(cursor, batches, (record) => side.decode(record)))
  const rows = measure(() => each(cursor, batches, (record) => side.rows(record)))
  console.log(
    `${name.padEnd(24)} ${size.toFixed(0).padStart(4)} bytes` +
      `  walk ${walking.ns.toFixed(0).padStart(4)} ns` +
      `  decode ${(decoding.ns - walking.ns).toFixed(0).padStart(5)} ns` +
      `  to rows ${(rows.ns - walking.ns).toFixed(0).padStart(5)} ns` +
      `  heap ${Math.max(0, rows.bytes).toFixed(1).padStart(6)} bytes`,
  )
}

for (const [name, shape] of Object.entries(shapes)) {
  await report(name, jsonSide(), (number) => jsonRecords(shape, number))
}
for (const [name, shape] of Object.entries(packedShapes)) {
  await report(name, packedSide(), (number) => packedRecords(shape, number))
}
