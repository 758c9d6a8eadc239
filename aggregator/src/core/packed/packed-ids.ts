import { isUtf8 } from 'node:buffer'
import { LIMITS } from '@countersink/shared/event'
import { PACKED_LIMITS, RANGE_BLOCK, RAW_BLOCK } from '@countersink/shared/packed/packed-format'
import { isSdkSession } from '@countersink/shared/sdk-id'
import { viewOf } from '../keyed-hash.ts'
import type { VarintReader } from './varint-reader.ts'

const { eventsMax, laneMax, sequenceMax, sessionBytes, sharedBytesMax } = PACKED_LIMITS
const BYTES_INITIAL = 64 * 1024
const ASCII_MAX = 0x7f

/**
 * The ids of one packed record, block after block. A range stays what it is; of raw ids the whole
 * texts are put together here, one after the other in `bytes`. That is at most the record itself and
 * 256 bytes an event, for no longer prefix is shared.
 */
export class PackedIds {
  blocks = 0
  /** Of each block: the number of the first event behind it. */
  readonly blockEnd = new Int32Array(eventsMax)
  /** Where the session of a range stands in the record; -1 for a block of raw ids. */
  readonly sessionStart = new Int32Array(eventsMax)
  readonly lane = new Int32Array(eventsMax)
  /** The sequence of a range's first event. */
  readonly first = new Float64Array(eventsMax)

  /** Raw ids: that of event i is `bytes[start[i], end[i])`. */
  bytes: Buffer = Buffer.allocUnsafe(BYTES_INITIAL)
  view: DataView = viewOf(this.bytes)
  readonly start = new Int32Array(eventsMax)
  readonly end = new Int32Array(eventsMax)
  /** 1 when a raw id is one that an event may not have. */
  readonly isBad = new Uint8Array(eventsMax)
  #length = 0
  /** Of the raw id before: its start in `bytes`, whether it is ASCII, and whether it is bad. */
  #previous = 0
  #wasAscii = true
  #wasBad = false

  /** True when some of the ids are not in ranges. */
  get hasRaw(): boolean {
    return this.sessionStart.subarray(0, this.blocks).includes(-1)
  }

  /** Reads blocks until they cover `count` events. */
  read(reader: VarintReader, count: number): void {
    this.blocks = 0
    this.#length = 0
    this.#previous = 0
    this.#wasAscii = true
    this.#wasBad = false
    let covered = 0
    while (covered < count && !reader.failed) {
      const kind = reader.byte()
      if (kind === RANGE_BLOCK) covered = this.#readRange(reader, covered, count)
      else if (kind === RAW_BLOCK) covered = this.#readRaw(reader, covered, count)
      else reader.fail()
    }
  }

  #readRange(reader: VarintReader, covered: number, count: number): number {
    const session = reader.skip(sessionBytes)
    const lane = reader.varint(laneMax)
    const first = reader.varint(sequenceMax)
    const size = reader.varint(count - covered)
    if (reader.failed || size === 0 || first > sequenceMax - (size - 1)) return reader.fail()
    if (!isSdkSession(reader.bytes, session)) return reader.fail()
    const block = this.blocks++
    this.sessionStart[block] = session
    this.lane[block] = lane
    this.first[block] = first
    this.blockEnd[block] = covered + size
    return covered + size
  }

  #readRaw(reader: VarintReader, covered: number, count: number): number {
    const size = reader.varint(count - covered)
    if (reader.failed || size === 0) return reader.fail()
    const end = covered + size
    for (let event = covered; event < end; event++) {
      this.#readId(reader, event)
      if (reader.failed) return 0
    }
    const block = this.blocks++
    this.sessionStart[block] = -1
    this.blockEnd[block] = end
    return end
  }

  #readId(reader: VarintReader, event: number): void {
    const previousLength = this.#length - this.#previous
    const shared = reader.varint(Math.min(previousLength, sharedBytesMax))
    const length = reader.varint(reader.end)
    const from = reader.skip(length)
    if (reader.failed) return
    const start = this.#length
    const suffix = start + shared
    const end = suffix + length
    if (end > this.bytes.length) this.#grow(end)
    const { bytes } = this
    for (let i = 0; i < shared; i++) bytes[start + i] = bytes[this.#previous + i]!
    const source = reader.bytes
    let high = 0
    let hasNul = false
    for (let i = 0; i < length; i++) {
      const byte = source[from + i]!
      high |= byte
      if (byte === 0) hasNul = true
      bytes[suffix + i] = byte
    }
    const isAscii = this.#wasAscii && high <= ASCII_MAX
    if (!isAscii && !this.#isUtf8(start, suffix, end)) reader.fail()
    this.start[event] = start
    this.end[event] = end
    if (this.#wasBad && !hasNul) hasNul = bytes.subarray(start, suffix).includes(0)
    const isBad = end === start || end - start > LIMITS.idBytesMax || hasNul
    this.isBad[event] = isBad ? 1 : 0
    this.#wasBad = isBad
    this.#previous = start
    this.#wasAscii = isAscii
    this.#length = end
  }

  /** Is `bytes[start, end)` UTF-8? The id before was, up to where it is shared, so only the rest is read. */
  #isUtf8(start: number, suffix: number, end: number): boolean {
    const { bytes } = this
    let from = suffix
    // Back to where a character begins, if the shared part ends inside of one.
    while (from > start && suffix - from < 3 && (bytes[from - 1]! & 0xc0) === 0x80) from--
    if (from > start && bytes[from - 1]! >= 0xc0) from--
    return isUtf8(bytes.subarray(from, end))
  }

  #grow(needed: number): void {
    const bytes = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2))
    this.bytes.copy(bytes, 0, 0, this.#length)
    this.bytes = bytes
    this.view = viewOf(bytes)
  }
}
