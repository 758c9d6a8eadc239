import { isUtf8 } from 'node:buffer'
import { crc32c } from '@node-rs/crc32'
import { isName, LIMITS } from '@countersink/shared/event'
import {
  BODY_POSITION,
  CRC_POSITION,
  DELTAS_LISTED,
  DELTAS_ONE,
  PACKED_LIMITS,
  PACKED_MAGIC,
  PACKED_VERSION,
  VERSION_POSITION,
} from '@countersink/shared/packed/packed-format'
import type { InvalidReason } from '@countersink/shared/reasons'
import { readDeltas, readNumbers, readTimes } from './packed-columns.ts'
import { PackedIds } from './packed-ids.ts'
import { grown } from '../typed-growth.ts'
import { VarintReader } from './varint-reader.ts'

const { eventsMax, valueBytesMax } = PACKED_LIMITS
const DIMS_INITIAL = 64
const ASCII_MAX = 0x7f
const SPACE = 0x20

/**
 * The value of one packed record, taken apart into typed arrays that are used again for the next
 * one: strings are byte ranges `[start, end)` inside `bytes`. `read` checks all of the value before
 * it says that it is well-formed, so that a record is all or nothing. What is wrong with single
 * strings of a well-formed one is marked, and is the business of the events that have them.
 */
export class PackedRecord {
  count = 0
  bytes: Buffer = Buffer.alloc(0)
  readonly ids = new PackedIds()

  counters = 0
  readonly counterStart = new Int32Array(eventsMax)
  readonly counterEnd = new Int32Array(eventsMax)
  /** 1 when no event may have such a counter. */
  readonly counterIsBad = new Uint8Array(eventsMax)

  series = 0
  readonly seriesCounter = new Int32Array(eventsMax)
  readonly keyStart = new Int32Array(eventsMax)
  readonly keyEnd = new Int32Array(eventsMax)
  readonly keyIsBad = new Uint8Array(eventsMax)

  dimsets = 0
  /** Dims of set i are those from `dimsetStart[i]` on, `dimsetSize[i]` of them. */
  readonly dimsetStart = new Int32Array(eventsMax)
  readonly dimsetSize = new Uint8Array(eventsMax)
  readonly dimsetIsBad = new Uint8Array(eventsMax)
  /** Four positions each, as in Fields. */
  dims = new Int32Array(4 * DIMS_INITIAL)

  /** Of each event: its series; 0 or 1 + its set of dims (undefined when `dimsets` is 0). */
  readonly seriesOf = new Int32Array(eventsMax)
  readonly dimsOf = new Int32Array(eventsMax)
  readonly at = new Float64Array(eventsMax)
  readonly delta = new Float64Array(eventsMax)

  readonly #reader = new VarintReader()
  /** Of the string that was read last. */
  #textStart = 0
  #textEnd = 0
  #hasNul = false

  /** Reads the value `bytes[start, end)`, which is not null; the reason when it is no packed record. */
  read(bytes: Buffer, start: number, end: number): InvalidReason | undefined {
    this.bytes = bytes
    this.count = 0
    if (start === end) return 'empty-value'
    if (end - start > valueBytesMax) return 'packed-malformed'
    if (end - start <= VERSION_POSITION || !hasMagic(bytes, start)) return 'packed-malformed'
    if (bytes[start + VERSION_POSITION] !== PACKED_VERSION) return 'unknown-version'
    if (end - start < BODY_POSITION) return 'packed-malformed'
    const body = start + BODY_POSITION
    const crc = bytes.readUInt32LE(start + CRC_POSITION)
    if (crc32c(bytes.subarray(body, end)) !== crc) return 'packed-checksum'
    const reader = this.#reader
    reader.open(bytes, body, end)
    this.#readBody(reader)
    return reader.failed || reader.position !== end ? 'packed-malformed' : undefined
  }

  #readBody(reader: VarintReader): void {
    const count = reader.varint(eventsMax)
    if (count === 0) reader.fail()
    const base = reader.varint(LIMITS.atMsMax)
    this.#readCounters(reader)
    this.#readSeries(reader)
    this.#readDimsets(reader)
    this.ids.read(reader, count)
    if (reader.failed) return
    readNumbers(reader, count, this.series, this.seriesOf)
    if (this.dimsets > 0) readNumbers(reader, count, this.dimsets + 1, this.dimsOf)
    readTimes(reader, count, base, this.at)
    const mode = reader.byte()
    if (mode === DELTAS_ONE) this.delta.fill(1, 0, count)
    else if (mode === DELTAS_LISTED) readDeltas(reader, count, this.delta)
    else reader.fail()
    this.count = count
  }

  #readCounters(reader: VarintReader): void {
    this.counters = reader.varint(eventsMax)
    for (let i = 0; i < this.counters && !reader.failed; i++) {
      this.#readText(reader)
      this.counterStart[i] = this.#textStart
      this.counterEnd[i] = this.#textEnd
      this.counterIsBad[i] = this.#isName(LIMITS.counterBytesMax) ? 0 : 1
    }
  }

  #readSeries(reader: VarintReader): void {
    this.series = reader.varint(eventsMax)
    for (let i = 0; i < this.series && !reader.failed; i++) {
      const counter = reader.varint(this.counters - 1)
      this.#readText(reader)
      this.seriesCounter[i] = counter
      this.keyStart[i] = this.#textStart
      this.keyEnd[i] = this.#textEnd
      this.keyIsBad[i] = this.#isName(LIMITS.keyBytesMax) ? 0 : 1
    }
  }

  #readDimsets(reader: VarintReader): void {
    this.dimsets = reader.varint(eventsMax)
    let dim = 0
    for (let i = 0; i < this.dimsets && !reader.failed; i++) {
      const size = reader.varint(LIMITS.dimsMax)
      if (size === 0) reader.fail()
      this.dimsetStart[i] = dim
      this.dimsetSize[i] = size
      let isBad = 0
      for (const end = dim + size; dim < end && !reader.failed; dim++) {
        isBad |= this.#readDim(reader, dim) ? 0 : 1
        if (dim > this.dimsetStart[i]! && !this.#isAscending(dim)) reader.fail()
      }
      this.dimsetIsBad[i] = isBad
    }
  }

  /** False when an event may not have such a dim. */
  #readDim(reader: VarintReader, dim: number): boolean {
    if (4 * dim === this.dims.length) {
      this.dims = grown(this.dims, new Int32Array(2 * this.dims.length))
    }
    const { dims } = this
    this.#readText(reader)
    dims[4 * dim] = this.#textStart
    dims[4 * dim + 1] = this.#textEnd
    const isGoodName = this.#textEnd > this.#textStart && this.#isWithin(LIMITS.dimNameBytesMax)
    this.#readText(reader)
    dims[4 * dim + 2] = this.#textStart
    dims[4 * dim + 3] = this.#textEnd
    return isGoodName && this.#isWithin(LIMITS.dimValueBytesMax)
  }

  /** Does the name of a dim come after the one before it, by the code units of UTF-16? */
  #isAscending(dim: number): boolean {
    const { bytes, dims } = this
    const before = bytes.toString('utf8', dims[4 * dim - 4], dims[4 * dim - 3])
    return before < bytes.toString('utf8', dims[4 * dim], dims[4 * dim + 1])
  }

  #readText(reader: VarintReader): void {
    const length = reader.varint(reader.end)
    const start = reader.skip(length)
    const end = reader.failed ? start : start + length
    const { bytes } = reader
    let high = 0
    let hasNul = false
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!
      high |= byte
      if (byte === 0) hasNul = true
    }
    if (high > ASCII_MAX && !isUtf8(bytes.subarray(start, end))) reader.fail()
    this.#textStart = start
    this.#textEnd = end
    this.#hasNul = hasNul
  }

  #isWithin(bytesMax: number): boolean {
    return this.#textEnd - this.#textStart <= bytesMax && !this.#hasNul
  }

  /** May the last text be a counter or a key? Only what begins unusually is made a string of. */
  #isName(bytesMax: number): boolean {
    if (this.#textEnd === this.#textStart || !this.#isWithin(bytesMax)) return false
    const first = this.bytes[this.#textStart]!
    if (first > SPACE && first <= ASCII_MAX) return true
    return isName(this.bytes.toString('utf8', this.#textStart, this.#textEnd), bytesMax)
  }
}

function hasMagic(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < PACKED_MAGIC.length; i++) {
    if (bytes[start + i] !== PACKED_MAGIC[i]) return false
  }
  return true
}
