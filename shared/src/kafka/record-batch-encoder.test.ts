import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecordCursor } from './record-batch.ts'
import { encodeRecordBatch, noStamp } from './record-batch-encoder.ts'
import { decodeRecordSet } from './record-set.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 200 }).map((data) => Buffer.from(data)))
const records = fc.array(
  fc.record({ key: bytes, value: bytes, timestampMs: fc.integer({ min: 0, max: 2 ** 45 }) }),
  { minLength: 1, maxLength: 30 },
)
const compression = fc.constantFrom('none', 'gzip', 'lz4', 'zstd')

test('what is encoded passes the checks of the reader, in every compression', async () => {
  await fc.assert(
    fc.asyncProperty(records, compression, async (wanted, kind) => {
      const batch = await encodeRecordBatch(wanted, kind, noStamp, 0)
      const decoded = await decodeRecordSet(batch, 0, [], { bytesLeft: 2 ** 26 })
      expect(decoded.corrupt).toBeUndefined()
      expect(decoded.nextOffset).toBe(wanted.length)
      const [read] = decoded.batches
      expect(read?.maxTimestampMs).toBe(Math.max(...wanted.map(({ timestampMs }) => timestampMs)))
      const cursor = new RecordCursor()
      if (read !== undefined) cursor.open(read, 0)
      const times: number[] = []
      while (cursor.next()) times.push(cursor.timestampMs)
      expect(cursor.malformed).toBe('')
      expect(times).toEqual(wanted.map(({ timestampMs }) => timestampMs))
    }),
  )
})

test('the producer stands in the header where the broker looks for it', async () => {
  const stamp = { producerId: 123_456_789_012n, epoch: 3, sequence: 77 }
  const batch = await encodeRecordBatch([{ key: null, value: null }], 'none', stamp, 1)
  expect(batch.readBigInt64BE(43)).toBe(stamp.producerId)
  expect(batch.readInt16BE(51)).toBe(3)
  expect(batch.readInt32BE(53)).toBe(77)
  expect(batch.readInt32BE(8)).toBe(batch.length - 12)
})

test('records of many sizes keep their places when the length of a length grows', async () => {
  const wanted = [0, 50, 63, 64, 8_100, 8_191, 8_192, 1_048_500].map((size) => ({
    key: Buffer.from(String(size)),
    value: Buffer.alloc(size, size % 251),
  }))
  const batch = await encodeRecordBatch(wanted, 'none', noStamp, 1)
  const { batches } = await decodeRecordSet(batch, 0, [], { bytesLeft: 0 })
  const cursor = new RecordCursor()
  if (batches[0] !== undefined) cursor.open(batches[0], 0)
  for (const { value } of wanted) {
    expect(cursor.next()).toBe(true)
    expect(cursor.records.subarray(cursor.valueStart, cursor.valueEnd).equals(value)).toBe(true)
  }
  expect(cursor.next()).toBe(false)
  expect(cursor.malformed).toBe('')
})
