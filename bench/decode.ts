/*
 * What decoding costs: nanoseconds an event of each shape, from a section of records to filled
 * fields, and the bytes it leaves for the garbage collector.
 *
 *     node bench/decode.ts
 */
import { createFields } from '@countersink/aggregator/core/fields'
import { RecordDecoder } from '@countersink/aggregator/core/record-decoder'
import type { RecordBatch } from '@countersink/shared/kafka/fetched-batch'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'

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

async function batchOf(shape: Shape, number: number): Promise<RecordBatch> {
  const records = Array.from({ length: RECORDS }, (_, i) => {
    const n = number * RECORDS + i
    // Skewed as real keys are, so that their lengths differ.
    const key = Math.floor(Math.random() ** 3 * KEYS)
    const id = crypto.randomUUID()
    const text = shape(id, key, 1 + (n % 12), 1_700_000_000_000 + n)
    return { key: Buffer.from(`video_views/k${key}`), value: Buffer.from(text) }
  })
  const batch = await encodeRecordBatch(records, 'none', noStamp, 1_700_000_000_000)
  const baseOffset = number * RECORDS
  const times = { baseTimestampMs: 0, maxTimestampMs: 0, logAppendTime: false }
  const section = batch.subarray(BATCH_HEADER_BYTES)
  return {
    ...times,
    baseOffset,
    nextOffset: baseOffset + RECORDS,
    count: RECORDS,
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

function decode(
  cursor: RecordCursor,
  decoder: RecordDecoder,
  batches: readonly RecordBatch[],
): number {
  const { fields } = decoder
  let sum = 0
  for (const batch of batches) {
    cursor.open(batch, 0)
    while (cursor.next()) {
      if (decoder.decode(cursor) !== undefined)
        throw new Error('an event of the benchmark is invalid')
      sum += fields.delta + fields.idEnd + fields.dimCount
    }
  }
  return sum
}

/** Nanoseconds an event in the best round, and heap bytes an event in the median one. */
function measure(run: () => number): { ns: number; bytes: number } {
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

const cursor = new RecordCursor()
for (const [name, shape] of Object.entries(shapes)) {
  const decoder = new RecordDecoder(createFields())
  const batches: RecordBatch[] = []
  for (let i = 0; i < BATCHES; i++) batches.push(await batchOf(shape, i))
  const walking = measure(() => walk(cursor, batches))
  const size = walk(cursor, batches) / BATCHES / RECORDS
  const decoding = measure(() => decode(cursor, decoder, batches))
  console.log(
    `${name.padEnd(24)} ${size.toFixed(0).padStart(4)} bytes` +
      `  walk ${walking.ns.toFixed(0).padStart(4)} ns` +
      `  decode ${(decoding.ns - walking.ns).toFixed(0).padStart(5)} ns` +
      `  heap ${Math.max(0, decoding.bytes).toFixed(1).padStart(6)} bytes`,
  )
}
