import { crc32c } from '@node-rs/crc32'
import { describe, expect, test } from 'vitest'
import type { AbortedTransaction } from './fetch-response.ts'
import { RecordCursor } from './record-batch.ts'
import { encodeRecordBatch, type ProducerRecord } from './record-batch-encoder.ts'
import type { Compression } from './codecs.ts'
import { decodeRecordSet, type DecodedRecordSet } from './record-set.ts'

const MIB = 1024 * 1024
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

type StoredOptions = {
  offset: number
  values?: string[]
  records?: ProducerRecord[]
  producer?: number
  attributes?: number
  compression?: Compression
}

/** A batch as the broker stores it. */
async function stored(options: StoredOptions): Promise<Buffer> {
  const { offset, values = ['v'], compression = 'none', producer = -1, attributes = 0 } = options
  const records =
    options.records ?? values.map((value) => ({ key: null, value: Buffer.from(value) }))
  const stamp = { producerId: BigInt(producer), epoch: 0, sequence: 0 }
  const batch = await encodeRecordBatch(records, compression, stamp, 1_000)
  batch.writeBigInt64BE(BigInt(offset), 0)
  batch.writeInt16BE(batch.readInt16BE(21) | attributes, 21)
  return sealed(batch)
}

function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

async function inTransaction(offset: number, producer: number, value: string): Promise<Buffer> {
  return await stored({ offset, producer, values: [value], attributes: TRANSACTIONAL })
}

async function marker(offset: number, producer: number, kind: 'abort' | 'commit'): Promise<Buffer> {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1])
  const records = [{ key, value: Buffer.alloc(6) }]
  return await stored({ offset, producer, records, attributes: TRANSACTIONAL | CONTROL })
}

async function decode(
  batches: Buffer[],
  options: { from?: number; aborted?: AbortedTransaction[]; budget?: number } = {},
): Promise<DecodedRecordSet & { values: string[] }> {
  const budget = { bytesLeft: options.budget ?? 64 * MIB }
  const { from = 0, aborted = [] } = options
  const decoded = await decodeRecordSet(Buffer.concat(batches), from, aborted, budget)
  const values: string[] = []
  const cursor = new RecordCursor()
  for (const batch of decoded.batches) {
    cursor.open(batch, from)
    while (cursor.next()) {
      values.push(cursor.records.toString('utf8', cursor.valueStart, cursor.valueEnd))
    }
  }
  return { ...decoded, values }
}

describe('decoding what a fetch gave', () => {
  test('gives the batches, and the offset behind the last', async () => {
    const set = [
      await stored({ offset: 5, values: ['a', 'b'] }),
      await stored({ offset: 9, values: ['c'] }),
    ]
    const decoded = await decode(set, { from: 5 })
    expect(decoded).toMatchObject({ values: ['a', 'b', 'c'], nextOffset: 10, cutAtStart: false })
    expect(decoded.corrupt).toBeUndefined()
  })

  test('does not copy records that are not compressed', async () => {
    const set = await stored({ offset: 0 })
    const [batch] = (await decodeRecordSet(set, 0, [], { bytesLeft: 0 })).batches
    expect(batch?.records.buffer).toBe(set.buffer)
  })

  test('a hole left by compaction inside and behind a batch is no problem', async () => {
    const holed = await stored({ offset: 10, values: ['x'] })
    holed.writeInt32BE(7, 23)
    expect(await decode([sealed(holed)], { from: 3 })).toMatchObject({
      values: ['x'],
      nextOffset: 18,
    })
  })

  test('a batch that compaction emptied moves the offset', async () => {
    const empty = await stored({ offset: 10 })
    const header = Buffer.from(empty.subarray(0, 61))
    header.writeInt32BE(61 - 12, 8)
    header.writeInt32BE(0, 57)
    expect(await decode([sealed(header)], { from: 10 })).toMatchObject({
      batches: [],
      nextOffset: 11,
    })
  })

  test('a last batch that is cut off is left for the next fetch, wherever the cut is', async () => {
    const first = await stored({ offset: 0, values: ['a'] })
    const second = await stored({ offset: 1, values: ['b'] })
    for (let length = 0; length < second.length; length++) {
      const decoded = await decode([first, second.subarray(0, length)])
      expect(decoded).toMatchObject({ values: ['a'], nextOffset: 1, cutAtStart: false })
      expect(decoded.corrupt).toBeUndefined()
    }
  })

  test('says when the very first batch is cut off, for the fetch must grow then', async () => {
    const batch = await stored({ offset: 4 })
    const decoded = await decode([batch.subarray(0, 65)], { from: 4 })
    expect(decoded).toMatchObject({ batches: [], nextOffset: 4, cutAtStart: true })
  })

  test.each(['gzip', 'lz4', 'zstd'] as const)('decompresses %s', async (compression) => {
    const set = [await stored({ offset: 0, values: ['a'.repeat(500), 'b'], compression })]
    expect(await decode(set)).toMatchObject({ values: ['a'.repeat(500), 'b'], nextOffset: 2 })
  })

  test('asks again later for what goes beyond the decompression budget of one fetch', async () => {
    const compression = 'gzip'
    const set = [
      await stored({ offset: 0, values: ['a'.repeat(5_000)], compression }),
      await stored({ offset: 1, values: ['b'], compression }),
    ]
    const decoded = await decode(set, { budget: 4_000 })
    expect(decoded).toMatchObject({ values: ['a'.repeat(5_000)], nextOffset: 1 })
    expect(decoded.corrupt).toBeUndefined()
  })
})

describe('a batch that cannot be read', () => {
  test('any changed byte under the checksum is found, and what was before it is given', async () => {
    const good = await stored({ offset: 0, values: ['good'] })
    const bad = await stored({ offset: 1, values: ['bad'] })
    for (let position = 21; position < bad.length; position++) {
      const changed = Buffer.from(bad)
      changed[position] = (changed[position] ?? 0) ^ 0x04
      const decoded = await decode([good, changed])
      expect(decoded).toMatchObject({ values: ['good'], nextOffset: 1, corrupt: { offset: 1 } })
    }
  })

  test('it says where the next one begins, unless its own header contradicts itself', async () => {
    const bad = await stored({ offset: 4, values: ['a', 'b', 'c'] })
    bad[bad.length - 1]! ^= 0x04
    expect((await decode([bad], { from: 4 })).corrupt).toMatchObject({ offset: 4, nextOffset: 7 })
    // The broker answers with whole batches: what was asked for may lie within it.
    expect((await decode([bad], { from: 6 })).corrupt).toMatchObject({ offset: 6, nextOffset: 7 })
    bad.writeInt32BE(1_000_000, 23)
    expect((await decode([bad], { from: 4 })).corrupt).not.toHaveProperty('nextOffset')
    const zipped = await stored({ offset: 4, values: ['x'.repeat(100), 'y'], compression: 'gzip' })
    zipped.fill(0, 61)
    const { corrupt } = await decode([sealed(zipped)], { from: 4 })
    expect(corrupt).toMatchObject({ offset: 4, nextOffset: 6 })
  })

  test('a batch that does not decompress is named after those before it', async () => {
    const good = await stored({ offset: 0, values: ['good'] })
    const bad = await stored({ offset: 1, values: ['x'.repeat(100)], compression: 'gzip' })
    bad.fill(0, 61)
    const decoded = await decode([good, sealed(bad), await stored({ offset: 2 })])
    expect(decoded).toMatchObject({ values: ['good'], nextOffset: 1, corrupt: { offset: 1 } })
  })

  test('a decompression bomb is named, not built', async () => {
    const records = [{ key: null, value: Buffer.alloc(70 * MIB) }]
    const bomb = await stored({ offset: 7, records, compression: 'zstd' })
    expect(bomb.length).toBeLessThan(MIB)
    expect(await decode([bomb], { from: 7 })).toMatchObject({ batches: [], corrupt: { offset: 7 } })
  })

  test('message sets from before Kafka 0.11 are named', async () => {
    const old = await stored({ offset: 3 })
    old.writeInt8(1, 16)
    const { corrupt } = await decode([old], { from: 3 })
    expect(corrupt?.offset).toBe(3)
    expect(corrupt?.reason).toContain('format 1')
  })

  test('an impossible length does not end in a loop', async () => {
    const bad = await stored({ offset: 0 })
    bad.writeInt32BE(-1, 8)
    expect(await decode([bad])).toMatchObject({ batches: [], corrupt: { offset: 0 } })
  })

  test('no bytes at all make it throw', async () => {
    for (let seed = 1; seed < 2_000; seed++) {
      const bytes = Buffer.from(
        Array.from({ length: seed % 150 }, (_, i) => (seed * (i + 7) * 31) & 255),
      )
      const decoded = await decodeRecordSet(bytes, 0, [], { bytesLeft: MIB })
      expect(decoded.batches).toEqual([])
    }
  })
})

describe('transactions', () => {
  const A = 1
  const B = 2

  test('aborted records are left out, and markers move the offset', async () => {
    const set = [
      await inTransaction(0, A, 'gone'),
      await marker(1, A, 'abort'),
      await inTransaction(2, A, 'kept'),
      await marker(3, A, 'commit'),
    ]
    const aborted = [{ producerId: A, firstOffset: 0 }]
    expect(await decode(set, { aborted })).toMatchObject({ values: ['kept'], nextOffset: 4 })
  })

  test('only aborted records: nothing is given, and the offset moves', async () => {
    const set = [await inTransaction(0, A, 'gone'), await marker(1, A, 'abort')]
    const aborted = [{ producerId: A, firstOffset: 0 }]
    expect(await decode(set, { aborted })).toMatchObject({ batches: [], nextOffset: 2 })
  })

  test('overlapping: A began first, B aborts first; the broker lists them by their end', async () => {
    const set = [
      await inTransaction(0, A, 'A gone'),
      await inTransaction(1, B, 'B gone'),
      await stored({ offset: 2, values: ['plain'] }),
      await marker(3, B, 'abort'),
      await inTransaction(4, A, 'A gone too'),
      await inTransaction(5, B, 'B kept'),
      await marker(6, A, 'abort'),
      await inTransaction(7, A, 'A kept'),
      await marker(8, B, 'commit'),
      await marker(9, A, 'commit'),
    ]
    const aborted = [
      { producerId: B, firstOffset: 1 },
      { producerId: A, firstOffset: 0 },
    ]
    const decoded = await decode(set, { aborted })
    expect(decoded).toMatchObject({ values: ['plain', 'B kept', 'A kept'], nextOffset: 10 })
  })

  test('several transactions that begin inside one batch of the log are all known', async () => {
    const set = [
      await stored({ offset: 0, values: ['p', 'q', 'r'] }),
      await inTransaction(3, A, 'A gone'),
      await inTransaction(4, B, 'B gone'),
      await marker(5, A, 'abort'),
      await marker(6, B, 'abort'),
    ]
    const aborted = [
      { producerId: A, firstOffset: 1 },
      { producerId: B, firstOffset: 2 },
    ]
    expect(await decode(set, { aborted })).toMatchObject({ values: ['p', 'q', 'r'], nextOffset: 7 })
  })

  test('a data record whose key is four zero bytes does not end an aborted transaction', async () => {
    const key = Buffer.alloc(4)
    const records = [{ key, value: Buffer.from('gone') }]
    const set = [
      await stored({ offset: 0, producer: A, records, attributes: TRANSACTIONAL }),
      await inTransaction(1, A, 'gone too'),
      await marker(2, A, 'abort'),
    ]
    const aborted = [{ producerId: A, firstOffset: 0 }]
    expect(await decode(set, { aborted })).toMatchObject({ values: [], nextOffset: 3 })
  })

  test('a fetch that starts amid an aborted transaction leaves its rest out', async () => {
    const set = [await inTransaction(5, A, 'gone'), await marker(6, A, 'abort')]
    const aborted = [{ producerId: A, firstOffset: 1 }]
    expect(await decode(set, { from: 5, aborted })).toMatchObject({ values: [], nextOffset: 7 })
  })
})
