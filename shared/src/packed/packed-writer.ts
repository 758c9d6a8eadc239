import assert from 'node:assert/strict'
import { crc32c } from '@node-rs/crc32'
import { ByteWriter } from './byte-writer.ts'
import { type Dims, DimsetDictionary } from './dimset-dictionary.ts'
import { IdBlocks } from './id-blocks.ts'
import {
  BODY_POSITION,
  CRC_POSITION,
  DELTAS_LISTED,
  DELTAS_ONE,
  PACKED_LIMITS,
  PACKED_MAGIC,
  PACKED_VERSION,
  VARINT_BYTES_MAX,
  VERSION_POSITION,
} from './packed-format.ts'

type CounterSeries = { readonly number: number; readonly series: Map<string, number> }

/** Beside the sections: head, count, base, the lengths of the dictionaries, the mode of deltas. */
const FRAME_BYTES = BODY_POSITION + 5 * VARINT_BYTES_MAX + 1
const { eventsMax } = PACKED_LIMITS

/**
 * Packs valid events of one partition into one record's value. Reusable: it keeps its buffers.
 * Every section of the value has bytes of its own while events come; `finish` joins them. Hot: a
 * process sends more than a million events a second through it, so an event makes no object.
 *
 * Write the events of a counter together where the order allows: ids of one lane that follow each
 * other take no bytes, and a lane is of one counter.
 */
export class PackedWriter {
  #count = 0
  #base = 0
  #previousAt = 0
  /** While all deltas are 1 none is written. */
  #areAllOne = true

  readonly #counterBytes = new ByteWriter()
  readonly #seriesBytes = new ByteWriter()
  readonly #dimsets = new DimsetDictionary()
  readonly #ids = new IdBlocks()
  readonly #seriesColumn = new ByteWriter()
  readonly #dimsColumn = new ByteWriter()
  readonly #ats = new ByteWriter()
  readonly #deltas = new ByteWriter()
  /** For the numbers between the sections. */
  readonly #numbers = new ByteWriter()

  readonly #counters = new Map<string, CounterSeries>()
  #seriesCount = 0
  #lastCounter = ''
  #lastSeries: Map<string, number> | undefined

  /** Events since the last `finish`. */
  get count(): number {
    return this.#count
  }

  /** An upper bound of the bytes that `finish` would give now. */
  get byteLength(): number {
    return (
      FRAME_BYTES +
      this.#counterBytes.length +
      this.#seriesBytes.length +
      this.#dimsets.bytes.length +
      this.#ids.byteLength +
      this.#seriesColumn.length +
      this.#dimsColumn.length +
      this.#ats.length +
      this.#deltas.length
    )
  }

  /**
   * Adds an event whose id is the next of a lane: calls of one lane with sequence + 1 that follow
   * each other become one range. `dims` as in CountEvent: sorted, and not changed afterwards.
   */
  addMade(
    session: string,
    lane: number,
    sequence: number,
    counter: string,
    key: string,
    dims: Dims | undefined,
    at: number,
    delta: number,
  ): void {
    this.#add(counter, key, dims, at, delta)
    this.#ids.made(session, lane, sequence)
  }

  /** Adds an event with an id of its own. */
  addRaw(
    id: string,
    counter: string,
    key: string,
    dims: Dims | undefined,
    at: number,
    delta: number,
  ): void {
    this.#add(counter, key, dims, at, delta)
    this.#ids.raw(id)
  }

  /** The record's value; the writer is empty again. There must be an event in it. */
  finish(): Buffer {
    assert.ok(this.#count > 0, 'a packed record has at least one event')
    const value = Buffer.allocUnsafe(this.byteLength)
    PACKED_MAGIC.copy(value)
    value[VERSION_POSITION] = PACKED_VERSION
    const end = this.#writeBody(value)
    value.writeUInt32LE(crc32c(value.subarray(BODY_POSITION, end)), CRC_POSITION)
    this.#clear()
    return value.subarray(0, end)
  }

  #writeBody(value: Buffer): number {
    const numbers = this.#numbers
    numbers.clear()
    let position = BODY_POSITION
    const section = (number: number, bytes: ByteWriter): void => {
      numbers.clear()
      numbers.varint(number)
      position = bytes.copyTo(value, numbers.copyTo(value, position))
    }
    numbers.varint(this.#count)
    numbers.varint(this.#base)
    position = numbers.copyTo(value, position)
    section(this.#counters.size, this.#counterBytes)
    section(this.#seriesCount, this.#seriesBytes)
    section(this.#dimsets.size, this.#dimsets.bytes)
    position = this.#ids.copyTo(value, position)
    position = this.#seriesColumn.copyTo(value, position)
    if (this.#dimsets.size > 0) position = this.#dimsColumn.copyTo(value, position)
    position = this.#ats.copyTo(value, position)
    value[position++] = this.#areAllOne ? DELTAS_ONE : DELTAS_LISTED
    return this.#deltas.copyTo(value, position)
  }

  #add(counter: string, key: string, dims: Dims | undefined, at: number, delta: number): void {
    assert.ok(this.#count < eventsMax, 'the packed record is full')
    this.#seriesColumn.varint(this.#seriesNumber(counter, key))
    if (dims !== undefined && dims.size > 0) this.#addDims(dims)
    else if (this.#dimsets.size > 0) this.#dimsColumn.byte(0)
    if (this.#count === 0) this.#base = this.#previousAt = at
    this.#ats.zigzag(at - this.#previousAt)
    this.#previousAt = at
    if (delta !== 1 || !this.#areAllOne) this.#addDelta(delta)
    this.#count++
  }

  #seriesNumber(counter: string, key: string): number {
    const series =
      this.#lastSeries !== undefined && counter === this.#lastCounter
        ? this.#lastSeries
        : this.#seriesOf(counter)
    const known = series.get(key)
    if (known !== undefined) return known
    const number = this.#seriesCount++
    series.set(key, number)
    this.#seriesBytes.varint(this.#counters.get(counter)?.number ?? 0)
    this.#seriesBytes.text(key)
    return number
  }

  #seriesOf(counter: string): Map<string, number> {
    let known = this.#counters.get(counter)
    if (known === undefined) {
      known = { number: this.#counters.size, series: new Map() }
      this.#counters.set(counter, known)
      this.#counterBytes.text(counter)
    }
    this.#lastCounter = counter
    this.#lastSeries = known.series
    return known.series
  }

  #addDims(dims: Dims): void {
    // The column begins with the first dims: the events before it had none.
    if (this.#dimsets.size === 0) this.#fill(this.#dimsColumn, 0)
    this.#dimsColumn.varint(1 + this.#dimsets.numberOf(dims))
  }

  #addDelta(delta: number): void {
    if (this.#areAllOne) {
      this.#areAllOne = false
      this.#fill(this.#deltas, 1)
    }
    this.#deltas.zigzag(delta)
  }

  /** Writes a value for each event so far. */
  #fill(column: ByteWriter, value: number): void {
    for (let i = 0; i < this.#count; i++) column.zigzag(value)
  }

  #clear(): void {
    this.#count = 0
    this.#areAllOne = true
    this.#counterBytes.clear()
    this.#seriesBytes.clear()
    this.#ids.clear()
    this.#seriesColumn.clear()
    this.#dimsColumn.clear()
    this.#ats.clear()
    this.#deltas.clear()
    this.#counters.clear()
    this.#seriesCount = 0
    this.#lastSeries = undefined
    this.#dimsets.clear()
  }
}
