import { crc32c } from '@node-rs/crc32'
import { compress, type Compression } from './codecs.ts'

export type ProducerHeader = { readonly name: string; readonly value: Buffer | null }

export type ProducerRecord = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly ProducerHeader[]
  /** Epoch milliseconds; now if it is left out. A topic with log-append time replaces it. */
  readonly timestampMs?: number
}

/** Who wrote a batch and as its how-manyeth, so that the broker can drop repetitions. */
export type ProducerStamp = {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/** For a producer that is not idempotent. */
export const noStamp: ProducerStamp = { producerId: -1n, epoch: -1, sequence: -1 }

const HEADER_BYTES = 61
const CRC_POSITION = 17
const CRC_START = 21
const MAGIC = 2
/** The most that a record takes beside its key, value and headers: six varints and a byte. */
const RECORD_OVERHEAD_MAX = 6 * 5 + 5 + 1
const HEADER_OVERHEAD_MAX = 10

/** An upper bound of what the record takes in a batch, before compression. */
export function recordBytesMax(record: ProducerRecord): number {
  let bytes = RECORD_OVERHEAD_MAX + (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const { name, value } of record.headers ?? []) {
    bytes += HEADER_OVERHEAD_MAX + Buffer.byteLength(name) + (value?.length ?? 0)
  }
  return bytes
}

/**
 * Encodes records as one batch of format 2 (see record-set.ts for its layout), ready to be sent.
 * `records` must not be empty; `nowMs` is the time of records that have none.
 */
export async function encodeRecordBatch(
  records: readonly ProducerRecord[],
  compression: Compression,
  stamp: ProducerStamp,
  nowMs: number,
): Promise<Buffer> {
  const writer = createWriter(records.reduce((sum, record) => sum + recordBytesMax(record), 0))
  const baseTimestampMs = records[0]?.timestampMs ?? nowMs
  let maxTimestampMs = baseTimestampMs
  records.forEach((record, index) => {
    const timestampMs = record.timestampMs ?? nowMs
    maxTimestampMs = Math.max(maxTimestampMs, timestampMs)
    writer.record(record, index, timestampMs - baseTimestampMs)
  })
  const { codec, data } = await compress(compression, writer.bytes())

  const batch = Buffer.allocUnsafe(HEADER_BYTES + data.length)
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch.writeInt8(MAGIC, 16)
  batch.writeInt16BE(codec, 21)
  batch.writeInt32BE(records.length - 1, 23)
  batch.writeBigInt64BE(BigInt(baseTimestampMs), 27)
  batch.writeBigInt64BE(BigInt(maxTimestampMs), 35)
  batch.writeBigInt64BE(stamp.producerId, 43)
  batch.writeInt16BE(stamp.epoch, 51)
  batch.writeInt32BE(stamp.sequence, 53)
  batch.writeInt32BE(records.length, 57)
  data.copy(batch, HEADER_BYTES)
  batch.writeUInt32BE(crc32c(batch.subarray(CRC_START)), CRC_POSITION)
  return batch
}

type Writer = {
  record(record: ProducerRecord, offsetDelta: number, timestampDelta: number): void
  bytes(): Buffer
}

function createWriter(bytesMax: number): Writer {
  const buffer = Buffer.allocUnsafe(bytesMax)
  let position = 0

  function varint(value: number): void {
    // Numbers beyond 32 bits (only time deltas can be) need arithmetic instead of shifts.
    let zigzag = value >= 0 ? value * 2 : -value * 2 - 1
    while (zigzag >= 0x80) {
      buffer[position++] = (zigzag % 0x80) + 0x80
      zigzag = Math.floor(zigzag / 0x80)
    }
    buffer[position++] = zigzag
  }

  function bytesOrNull(value: Buffer | null): void {
    if (value === null) {
      varint(-1)
      return
    }
    varint(value.length)
    position += value.copy(buffer, position)
  }

  function body(record: ProducerRecord, offsetDelta: number, timestampDelta: number): void {
    buffer[position++] = 0
    varint(timestampDelta)
    varint(offsetDelta)
    bytesOrNull(record.key)
    bytesOrNull(record.value)
    const headers = record.headers ?? []
    varint(headers.length)
    for (const { name, value } of headers) {
      bytesOrNull(Buffer.from(name))
      bytesOrNull(value)
    }
  }

  return {
    record(record, offsetDelta, timestampDelta) {
      // The length comes first and its own size depends on it: write the body, then move it.
      const start = position
      position += 1
      body(record, offsetDelta, timestampDelta)
      const length = position - start - 1
      const shift = varintBytes(length) - 1
      if (shift > 0) buffer.copyWithin(start + 1 + shift, start + 1, position)
      position = start
      varint(length)
      position += length
    },
    bytes: () => buffer.subarray(0, position),
  }
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value * 2; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}
