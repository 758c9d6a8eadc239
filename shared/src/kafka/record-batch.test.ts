import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RecordBatch } from './fetched-batch.ts'
import { RecordCursor } from './record-batch.ts'
import { encodeRecordBatch, noStamp, type ProducerRecord } from './record-batch-encoder.ts'

const HEADER_BYTES = 61

async function batchOf(
  records: ProducerRecord[],
  over: Partial<RecordBatch> = {},
): Promise<RecordBatch> {
  const bytes = await encodeRecordBatch(records, 'none', noStamp, 1_000)
  return {
    baseOffset: 100,
    nextOffset: 100 + records.length,
    count: records.length,
    baseTimestampMs: records[0]?.timestampMs ?? 1_000,
    maxTimestampMs: 9_000,
    logAppendTime: false,
    records: bytes.subarray(HEADER_BYTES),
    ...over,
  }
}

function text(cursor: RecordCursor, start: number, end: number): string | null {
  return start < 0 ? null : cursor.records.toString('utf8', start, end)
}

function readAll(batch: RecordBatch, fromOffset = 0): ProducerRecord[] {
  const cursor = new RecordCursor()
  const read: ProducerRecord[] = []
  cursor.open(batch, fromOffset)
  while (cursor.next()) {
    const bytes = (start: number, end: number): Buffer | null =>
      start < 0 ? null : Buffer.from(cursor.records.subarray(start, end))
    const headers: { name: string; value: Buffer | null }[] = []
    cursor.rewindHeaders()
    while (cursor.nextHeader()) {
      headers.push({
        name: cursor.records.toString('utf8', cursor.headerNameStart, cursor.headerNameEnd),
        value: bytes(cursor.headerValueStart, cursor.headerValueEnd),
      })
    }
    read.push({
      key: bytes(cursor.keyStart, cursor.keyEnd),
      value: bytes(cursor.valueStart, cursor.valueEnd),
      headers,
      timestampMs: cursor.timestampMs,
    })
  }
  expect(cursor.malformed).toBe('')
  return read
}

const bytes = fc.option(fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data)))
const record = fc.record({
  key: bytes,
  value: bytes,
  headers: fc.array(fc.record({ name: fc.string({ unit: 'grapheme' }), value: bytes }), {
    maxLength: 4,
  }),
  timestampMs: fc.integer({ min: -1, max: 253_402_300_799_999 }),
})

describe('a cursor over a records section', () => {
  test('gives back whatever was encoded, for any keys, values, headers and times', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 20 }), async (records) => {
        expect(readAll(await batchOf(records))).toEqual(records)
      }),
    )
  })

  test('gives offsets, and skips records below the offset that was asked for', async () => {
    const batch = await batchOf(
      ['a', 'b', 'c'].map((value) => ({ key: null, value: Buffer.from(value) })),
    )
    const cursor = new RecordCursor()
    cursor.open(batch, 101)
    const seen: [number, string | null][] = []
    while (cursor.next()) {
      seen.push([cursor.offset, text(cursor, cursor.valueStart, cursor.valueEnd)])
    }
    expect(seen).toEqual([
      [101, 'b'],
      [102, 'c'],
    ])
  })

  test('gives the batch maximum as every time when the log stamps the records', async () => {
    const records = [1_000, 5_000].map((timestampMs) => ({ key: null, value: null, timestampMs }))
    const read = readAll(await batchOf(records, { logAppendTime: true }))
    expect(read.map(({ timestampMs }) => timestampMs)).toEqual([9_000, 9_000])
  })

  test('finds a header by its bytes, the last one of a name, and says when its value is null', async () => {
    const headers = [
      { name: 'content-type', value: Buffer.from('a') },
      { name: 'content-typ', value: Buffer.from('x') },
      { name: 'content-type', value: Buffer.from('b') },
      { name: 'empty', value: null },
    ]
    const batch = await batchOf([{ key: null, value: null, headers }])
    const cursor = new RecordCursor()
    cursor.open(batch, 0)
    expect(cursor.next()).toBe(true)
    expect(cursor.findHeader(Buffer.from('content-type'))).toBe(true)
    expect(text(cursor, cursor.headerValueStart, cursor.headerValueEnd)).toBe('b')
    expect(cursor.findHeader(Buffer.from('empty'))).toBe(true)
    expect(cursor.headerValueStart).toBe(-1)
    expect(cursor.findHeader(Buffer.from('other'))).toBe(false)
    expect(cursor.next()).toBe(false)
    expect(cursor.malformed).toBe('')
  })

  test('stops at a record that is cut, and names its offset after those that were whole', async () => {
    const records = [1, 2, 3].map((n) => ({ key: null, value: Buffer.alloc(20, n) }))
    const whole = await batchOf(records)
    const cursor = new RecordCursor()
    cursor.open({ ...whole, records: whole.records.subarray(0, -1) }, 0)
    let given = 0
    while (cursor.next()) given++
    expect(given).toBe(2)
    expect(cursor.malformed).toContain('cut short')
    expect(cursor.malformedOffset).toBe(102)
  })

  test.each([
    [
      'leftover bytes',
      (b: RecordBatch) => ({ ...b, records: Buffer.concat([b.records, Buffer.alloc(3)]) }),
    ],
    ['fewer records than it says', (b: RecordBatch) => ({ ...b, count: b.count + 1 })],
    ['offsets beyond the batch', (b: RecordBatch) => ({ ...b, nextOffset: b.baseOffset + 1 })],
  ])('does not accept %s', async (_, damage) => {
    const batch = damage(await batchOf([1, 2].map((n) => ({ key: null, value: Buffer.alloc(n) }))))
    const cursor = new RecordCursor()
    cursor.open(batch, 0)
    while (cursor.next());
    expect(cursor.malformed).not.toBe('')
  })

  test('neither throws nor loops on any bytes, and stays inside them', () => {
    const cursor = new RecordCursor()
    const garbage = fc.uint8Array({ maxLength: 200 }).map((data) => Buffer.from(data))
    fc.assert(
      fc.property(garbage, fc.integer({ min: -5, max: 1_000_000 }), (records, count) => {
        const shape = { baseOffset: 0, nextOffset: 2 ** 31, baseTimestampMs: 0, maxTimestampMs: 0 }
        cursor.open({ ...shape, count, logAppendTime: false, records }, 0)
        let given = 0
        while (cursor.next()) {
          given++
          expect(cursor.valueEnd).toBeLessThanOrEqual(records.length)
          expect(cursor.headersEnd).toBeLessThanOrEqual(records.length)
          while (cursor.nextHeader())
            expect(cursor.headerValueEnd).toBeLessThanOrEqual(records.length)
        }
        expect(given).toBeLessThanOrEqual(records.length / 7)
      }),
      { numRuns: 5_000 },
    )
  })

  test('neither throws nor loops on a true batch with one byte changed', async () => {
    const headers = [{ name: 'h', value: Buffer.from('v') }]
    const records = [1, 2, 3].map((n) => ({
      key: Buffer.alloc(n),
      value: Buffer.alloc(90),
      headers,
    }))
    const batch = await batchOf(records)
    const cursor = new RecordCursor()
    for (let position = 0; position < batch.records.length; position++) {
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
        const changed = Buffer.from(batch.records)
        changed[position] = value
        cursor.open({ ...batch, records: changed }, 0)
        let given = 0
        while (cursor.next()) given++
        expect(given).toBeLessThanOrEqual(3)
      }
    }
  })
})
