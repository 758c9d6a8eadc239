import type { FetchedBatch } from '@countersink/shared/kafka/fetched-batch'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { Columns, COLUMNS_CAPACITY } from './columns.ts'
import { EventRun } from './decode/event-run.ts'
import { createFields } from './decode/fields.ts'
import { fold } from './fold.ts'
import type { PartitionState } from './partition-state.ts'
import { PackedDecoder } from './packed/packed-decoder.ts'
import { isPackedRecord, RecordDecoder } from './decode/record-decoder.ts'

/**
 * The last moment that a Date can name. A producer may have written any 64 bits where the topic does
 * not stamp records itself; beyond bigint the commit would be refused for ever.
 */
export const APPEND_MS_MAX = 8_640_000_000_000_000

/** Where the last record that was folded lies, for the hash that recognises a log made again. */
export type LastRecord = { offset: number; records: Buffer; start: number; end: number }

/** A place in the log that cannot be read: the partition has to stop there. */
export type Unreadable = { offset: number; reason: string; nextOffset?: number }

/**
 * Decodes fetched batches into columns and folds them, one set of columns for all partitions of the
 * process: what is decoded is folded before anything else happens.
 */
export class BatchFold {
  readonly #cursor = new RecordCursor()
  readonly #decoder = new RecordDecoder(createFields())
  readonly #packed = new PackedDecoder()
  /** Events behind the rows of the columns; their places stand there already. */
  readonly #events = new EventRun()
  readonly #columns = new Columns()
  /** Of the last call; undefined when it folded no record. */
  lastRecord: LastRecord | undefined
  /**
   * True when the last call ended early, because ids may be in cold buckets: `next` is before what
   * was not folded. Call again when the state's questions are answered; what was only read of is
   * read again.
   */
  lacks = false
  /** Rows read and not folded. */
  #unfolded = 0
  /** The state's largest append time as of the last row that was folded. */
  #appendMax = 0
  /** True when what is read may not be folded. */
  #isTracked = false

  /**
   * Folds all records of `fetched` from the state's `next` on, and moves `next` past everything
   * seen. Gives the place where it had to stop early, if it had to.
   *
   * With `eventsMax` it ends at the first end of a record with at least so many events folded: then
   * `next` is before the fetch's, and another call goes on from there.
   */
  run(
    state: PartitionState,
    fetched: FetchedBatch,
    eventsMax: number = Infinity,
  ): Unreadable | undefined {
    this.lastRecord = undefined
    this.lacks = false
    this.#unfolded = 0
    this.#appendMax = state.appendMax
    this.#isTracked = !state.ids.hashed.cold.isEmpty
    if (this.#isTracked) state.unfolded.begin(state.counters.list, state.next)
    const stop = this.#run(state, fetched, eventsMax)
    if (this.lacks) state.appendMax = this.#appendMax
    else state.ids.hashed.cold.forgetAnswers()
    return stop
  }

  #run(state: PartitionState, fetched: FetchedBatch, eventsMax: number): Unreadable | undefined {
    const readMax = state.ledger.read + eventsMax
    for (const batch of fetched.batches) {
      if (batch.nextOffset <= state.next) continue
      this.#cursor.open(batch, state.next)
      const isRead = this.#foldRecords(state, readMax)
      if (this.lacks || !isRead) return undefined
      if (this.#cursor.malformed !== '') {
        const { malformedOffset: offset, malformed: reason } = this.#cursor
        return { offset, reason, nextOffset: batch.nextOffset }
      }
      state.next = batch.nextOffset
    }
    if (fetched.corrupt !== undefined) return fetched.corrupt
    state.next = Math.max(state.next, fetched.nextOffset)
    return undefined
  }

  /** False when it ended with `readMax` events read. */
  #foldRecords(state: PartitionState, readMax: number): boolean {
    const cursor = this.#cursor
    const columns = this.#columns
    const run = this.#events
    const { ledger } = state
    columns.clear(cursor.records)
    run.clear()
    while (cursor.next()) {
      const isPacked = isPackedRecord(cursor)
      if (isPacked) this.#foldColumns(state)
      const { timestampMs } = cursor
      if (timestampMs > state.appendMax && timestampMs <= APPEND_MS_MAX) {
        state.appendMax = timestampMs
      }
      if (isPacked) this.#foldPacked(state)
      else this.#decode(state)
      const rows = columns.count + run.count
      if (rows === COLUMNS_CAPACITY) this.#foldColumns(state)
      if (this.lacks && state.ids.hashed.cold.isFull) return false
      if (ledger.read + this.#unfolded + columns.count + run.count < readMax) continue
      this.#foldColumns(state)
      return false
    }
    this.#foldColumns(state)
    return true
  }

  #decode(state: PartitionState): void {
    this.#beginRow()
    const run = this.#events
    const { fields } = this.#decoder
    const reason = this.#decoder.decode(this.#cursor)
    if (reason === undefined && fields.bytes === this.#cursor.records) {
      run.add(fields, state.appendMax)
      if (run.isFull) run.close(state, this.#columns)
      return
    }
    run.close(state, this.#columns)
    if (reason === undefined) state.interner.append(fields, state.appendMax, this.#columns)
    else state.interner.appendInvalid(reason, this.#columns)
  }

  /** Of a record that holds one event. */
  #beginRow(): void {
    const cursor = this.#cursor
    const columns = this.#columns
    const row = columns.count + this.#events.count
    columns.offset[row] = cursor.offset
    columns.index[row] = 0
    columns.valueStart[row] = cursor.valueStart
    columns.valueEnd[row] = cursor.valueEnd
  }

  /**
   * A packed record is folded by itself, since the columns can hold fewer events than it can. The
   * state's `next` moves when all of them are folded: a commit never sees a part of a record.
   */
  #foldPacked(state: PartitionState): void {
    const { offset, records, valueStart, valueEnd } = this.#cursor
    const columns = this.#columns
    const reason = valueStart < 0 ? 'null-value' : this.#packed.open(state, this.#cursor)
    if (reason !== undefined) {
      this.#beginRow()
      state.interner.appendInvalid(reason, columns)
      return
    }
    if (!this.#canFoldPacked(state)) return
    for (let more = true; more;) {
      columns.packed = this.#packed.record
      more = this.#packed.append(columns)
      if (this.#isTracked) state.unfolded.note(columns)
      fold(state, columns)
      columns.clear(records)
    }
    this.#moveTo(state, offset, records, valueStart, valueEnd)
  }

  /**
   * Reads the open record once before it is folded where some of its ids may be in cold buckets:
   * it is folded whole or not at all. Behind rows that are not folded every record is read, since
   * new series are dealt their slots in the order of the log.
   */
  #canFoldPacked(state: PartitionState): boolean {
    const { record } = this.#packed
    if (!this.#isTracked || (!record.ids.hasRaw && !this.lacks)) return true
    const columns = this.#columns
    for (let more = true; more;) {
      columns.packed = record
      more = this.#packed.append(columns)
      this.#lacks(state)
      columns.clear(this.#cursor.records)
    }
    if (!this.lacks) this.#packed.open(state, this.#cursor)
    return !this.lacks
  }

  /** True when rows are only read: theirs or earlier ones' ids may be in cold buckets. */
  #lacks(state: PartitionState): boolean {
    if (!this.#isTracked) return false
    state.unfolded.note(this.#columns)
    if (state.ids.hashed.lacks(this.#columns)) this.lacks = true
    if (this.lacks) this.#unfolded += this.#columns.count
    return this.lacks
  }

  #foldColumns(state: PartitionState): void {
    const columns = this.#columns
    this.#events.close(state, columns)
    if (columns.count === 0) return
    if (this.#lacks(state)) {
      columns.clear(columns.records)
      return
    }
    fold(state, columns)
    const { records, valueStart, valueEnd, offset, count } = columns
    const last = count - 1
    this.#moveTo(state, offset[last]!, records, valueStart[last]!, valueEnd[last]!)
    columns.clear(records)
  }

  #moveTo(
    state: PartitionState,
    offset: number,
    records: Buffer,
    valueStart: number,
    valueEnd: number,
  ): void {
    const [start, end] = [Math.max(valueStart, 0), Math.max(valueEnd, 0)]
    this.lastRecord = { offset, records, start, end }
    state.next = offset + 1
    this.#appendMax = state.appendMax
  }
}
