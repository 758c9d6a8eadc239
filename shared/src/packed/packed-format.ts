import { LIMITS } from '../event.ts'
import type { ProducerHeader } from '../kafka/record-batch-encoder.ts'
import { SDK_ID } from '../sdk-id.ts'

/*
 * A packed record: many events of one partition in one Kafka record, in columns. Everything below
 * is unsigned LEB128 varints unless said; docs/packed-records.md is the grammar for other people.
 *
 *     value    := "CSPK" | version u8 | crc u32 little-endian, CRC-32C of all after it | body
 *     body     := count | base | counters | series | dimsets | ids | columns
 *     counters := n | n x text
 *     series   := n | n x (counter index | key text)
 *     dimsets  := n | n x (m | m x (name text | value text))     names strictly ascending
 *     ids      := blocks until count events are covered:
 *                 0x00 | session, 25 bytes | lane | first sequence | n
 *                 0x01 | n | n x (bytes shared with the previous raw id | rest of it, text)
 *     columns  := count x series index
 *                 count x (0, or 1 + dimset index)               only when there are dimsets
 *                 count x zigzag(at - previous at)               the first from base
 *                 0x00, all deltas are 1 | 0x01 | count x zigzag(delta)
 *     text     := length in bytes | UTF-8
 */

export const PACKED_CONTENT_TYPE = 'application/vnd.countersink.packed'

/** What a producer puts on each packed record. */
export const packedHeaders: readonly ProducerHeader[] = [
  { name: 'content-type', value: Buffer.from(PACKED_CONTENT_TYPE) },
]

export const PACKED_MAGIC = Buffer.from('CSPK')
export const PACKED_VERSION = 1
/** Where things stand in a value: magic, version, checksum, body. */
export const VERSION_POSITION = 4
export const CRC_POSITION = 5
export const BODY_POSITION = 9

export const RANGE_BLOCK = 0
export const RAW_BLOCK = 1
export const DELTAS_ONE = 0
export const DELTAS_LISTED = 1

/** Varints of 8 bytes at most: 2^53 - 1 takes all of them, and so does its zigzag form. */
export const VARINT_BYTES_MAX = 8

/** The most that an event's own id, dims, series, `at` and `delta` can take, none of them known yet. */
const eventBytesMax =
  3 * VARINT_BYTES_MAX +
  (LIMITS.counterBytesMax + 3) +
  (LIMITS.keyBytesMax + 6) +
  LIMITS.dimsMax * (LIMITS.dimNameBytesMax + LIMITS.dimValueBytesMax + 4) +
  (LIMITS.idBytesMax + 16)

export const PACKED_LIMITS = {
  valueBytesMax: 1024 * 1024,
  /** Also of counters, series and dimsets: more could not be used. */
  eventsMax: 16_384,
  sessionBytes: SDK_ID.sessionChars,
  laneMax: SDK_ID.laneMax,
  sequenceMax: SDK_ID.sequenceMax,
  /** Longer prefixes are not shared: ids from a small record stay small in memory. */
  sharedBytesMax: LIMITS.idBytesMax,
  /** What one more valid event can add to a value at most: a writer with less room is full. */
  eventBytesMax,
} as const
