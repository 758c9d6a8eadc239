import { crc32c } from '@node-rs/crc32'
import { checkEvent, LIMITS, type Parsed } from '../event.ts'
import type { InvalidReason } from '../reasons.ts'
import { isSdkSession, formatSdkId } from '../sdk-id.ts'
import { ByteReader } from './byte-reader.ts'
import {
  BODY_POSITION,
  CRC_POSITION,
  DELTAS_LISTED,
  DELTAS_ONE,
  PACKED_LIMITS,
  PACKED_MAGIC,
  PACKED_VERSION,
  RANGE_BLOCK,
  RAW_BLOCK,
  VERSION_POSITION,
} from './packed-format.ts'

/** Each event is valid, or has the reason that the same event as JSON would get. */
export type ParsedPacked = { ok: true; events: Parsed[] } | { ok: false; reason: InvalidReason }

type Series = { counter: string; key: string }
type Dims = Record<string, string>

const { eventsMax, laneMax, sequenceMax, sessionBytes, sharedBytesMax, valueBytesMax } =
  PACKED_LIMITS

/**
 * The complete parser of a packed record's value: any bytes give its events or a reason, never an
 * exception. It is slow and there to be read and to be compared with; the aggregator has its own
 * decoder, which fuzzing holds to this one.
 */
export function parsePacked(value: Uint8Array): ParsedPacked {
  if (value.length === 0) return { ok: false, reason: 'empty-value' }
  const reason = outerFault(value)
  if (reason !== undefined) return { ok: false, reason }
  const reader = new ByteReader(value, BODY_POSITION)
  const events = readBody(reader)
  if (reader.failed || !reader.isAtEnd) return { ok: false, reason: 'packed-malformed' }
  return { ok: true, events }
}

/** What is wrong around the body: magic, version and checksum, in this order. */
function outerFault(value: Uint8Array): InvalidReason | undefined {
  if (value.length > valueBytesMax || !PACKED_MAGIC.equals(value.subarray(0, VERSION_POSITION))) {
    return 'packed-malformed'
  }
  const version = value[VERSION_POSITION]
  if (version === undefined) return 'packed-malformed'
  if (version !== PACKED_VERSION) return 'unknown-version'
  if (value.length < BODY_POSITION) return 'packed-malformed'
  const { buffer, byteOffset, byteLength } = value
  const stored = new DataView(buffer, byteOffset, byteLength).getUint32(CRC_POSITION, true)
  return crc32c(value.subarray(BODY_POSITION)) === stored ? undefined : 'packed-checksum'
}

/** The events of a body; they are worth something only if the reader has not failed. */
function readBody(reader: ByteReader): Parsed[] {
  const count = reader.varint(eventsMax)
  if (count === 0) reader.failed = true
  const base = reader.varint(LIMITS.atMsMax)
  const counters = readCounters(reader)
  const series = readSeries(reader, counters)
  const dimsets = readDimsets(reader)
  const ids = readIds(reader, count)
  const seriesColumn = readColumn(count, reader, () => pick(series, reader.varint(), reader))
  const dimsColumn =
    dimsets.length === 0 ? [] : readColumn(count, reader, () => readDimsOf(reader, dimsets))
  const ats = readAts(reader, count, base)
  const deltas = readDeltas(reader, count)
  if (reader.failed) return []
  return seriesColumn.map((one, i) =>
    checkEvent({ id: ids[i], ...one, at: ats[i], delta: deltas[i], dims: dimsColumn[i] }),
  )
}

function readCounters(reader: ByteReader): string[] {
  return readColumn(reader.varint(eventsMax), reader, () => reader.text())
}

function readSeries(reader: ByteReader, counters: readonly string[]): Series[] {
  return readColumn(reader.varint(eventsMax), reader, () => {
    const counter = pick(counters, reader.varint(), reader)
    return { counter: counter ?? '', key: reader.text() }
  })
}

function readDimsets(reader: ByteReader): Dims[] {
  return readColumn(reader.varint(eventsMax), reader, () => {
    const size = reader.varint(LIMITS.dimsMax)
    if (size === 0) reader.failed = true
    const pairs = readColumn(size, reader, () => [reader.text(), reader.text()] as const)
    // JavaScript compares strings by code units, as CountEvent.dims is sorted.
    if (pairs.some(([name], i) => i > 0 && name <= (pairs[i - 1]?.[0] ?? ''))) reader.failed = true
    return Object.fromEntries(pairs)
  })
}

function readDimsOf(reader: ByteReader, dimsets: readonly Dims[]): Dims | undefined {
  const number = reader.varint()
  return number === 0 ? undefined : pick(dimsets, number - 1, reader)
}

/** The ids as texts, in the order of the events: blocks that cover them exactly. */
function readIds(reader: ByteReader, count: number): string[] {
  const ids: string[] = []
  const raw = { previous: new Uint8Array(0) }
  while (ids.length < count && !reader.failed) {
    const kind = reader.byte()
    if (kind === RANGE_BLOCK) readRange(reader, ids, count)
    else if (kind === RAW_BLOCK) readRawIds(reader, ids, count, raw)
    else reader.failed = true
  }
  return ids
}

function readRange(reader: ByteReader, ids: string[], count: number): void {
  const session = reader.bytes(sessionBytes)
  const lane = reader.varint(laneMax)
  const first = reader.varint(sequenceMax)
  const size = reader.varint(count - ids.length)
  if (size === 0 || first > sequenceMax - (size - 1)) reader.failed = true
  if (reader.failed) return
  if (!isSdkSession(session, 0)) {
    reader.failed = true
    return
  }
  const text = reader.decode(session)
  for (let i = 0; i < size; i++) ids.push(formatSdkId(text, lane, first + i))
}

function readRawIds(
  reader: ByteReader,
  ids: string[],
  count: number,
  raw: { previous: Uint8Array },
): void {
  const size = reader.varint(count - ids.length)
  if (size === 0) reader.failed = true
  for (let i = 0; i < size && !reader.failed; i++) {
    const shared = reader.varint(Math.min(raw.previous.length, sharedBytesMax))
    const id = Buffer.concat([raw.previous.subarray(0, shared), reader.block()])
    raw.previous = id
    ids.push(reader.decode(id))
  }
}

/** Each time as it is, in range or not; but a difference must not leave the safe integers. */
function readAts(reader: ByteReader, count: number, base: number): number[] {
  let at = base
  return readColumn(count, reader, () => {
    at += reader.zigzag()
    if (!Number.isSafeInteger(at)) reader.failed = true
    return at
  })
}

function readDeltas(reader: ByteReader, count: number): number[] {
  const mode = reader.byte()
  if (mode === DELTAS_LISTED) return readColumn(count, reader, () => reader.zigzag())
  if (mode !== DELTAS_ONE) reader.failed = true
  return readColumn(count, reader, () => 1)
}

/** So many items; after a failure no more, for their number may be nonsense. */
function readColumn<T>(count: number, reader: ByteReader, read: () => T): T[] {
  const items: T[] = []
  while (items.length < count && !reader.failed) items.push(read())
  return items
}

/** The item of that number; there must be one. */
function pick<T>(items: readonly T[], number: number, reader: ByteReader): T | undefined {
  const item = items[number]
  if (item === undefined) reader.failed = true
  return item
}
