import type { FetchedBatch } from '@countersink/shared/kafka/fetched-batch'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { Columns, COLUMNS_CAPACITY } from './columns.ts'
import { createFields } from './fields.ts'
import { fold } from './fold.ts'
import type { PartitionState } from './partition-state.ts'
import { RecordDecoder } from './record-decoder.ts'

/**
 * The last moment that a Date can name. A producer may have written any 64 bits where the topic does
 * not stamp records itself; beyond bigint the commit would be refused for ever.
 */
export const APPEND_MS_MAX = 8_640_000_000_000_000

/** Where the last record that was folded lies, for the hash that recognises a log made again. */
export type LastRecord = { offset: number; records: Buffer; start: number; end: number }

/** A place in the log that cannot be read: the partition has to stop there. */
export type Unreadable = { offset: number; reason: string }

/**
 * Decodes fetched batches into columns and folds them, one set of columns for all partitions of the
 * process: what is decoded is folded before anything else happens.
 */
export class BatchFold {
  readonly #cursor = new RecordCursor()
  readonly #decoder = new RecordDecoder(createFields())
  readonly #columns = new Columns()
  /** Of the last call; undefined when it folded no record. */
  lastRecord: LastRecord | undefined

  /**
   * Folds all records of `fetched` from the state's `next` on, and moves `next` past everything
   * seen. Gives the place where it had to stop early, if it had to.
   */
  run(state: PartitionState, fetched: FetchedBatch): Unreadable | undefined {
    this.lastRecord = undefined
    for (const batch of fetched.batches) {
      if (batch.nextOffset <= state.next) continue
      this.#cursor.open(batch, state.next)
      this.#foldRecords(state)
      if (this.#cursor.malformed !== '') {
        return { offset: this.#cursor.malformedOffset, reason: this.#cursor.malformed }
      }
      state.next = batch.nextOffset
    }
    if (fetched.corrupt !== undefined) return fetched.corrupt
    state.next = Math.max(state.next, fetched.nextOffset)
    return undefined
  }

  #foldRecords(state: PartitionState): void {
    const cursor = this.#cursor
    const columns = this.#columns
    columns.clear(cursor.records)
    while (cursor.next()) {
      this.#decode(state)
      if (columns.count === COLUMNS_CAPACITY) this.#foldColumns(state)
    }
    this.#foldColumns(state)
  }

  #decode(state: PartitionState): void {
    const cursor = this.#cursor
    const columns = this.#columns
    const row = columns.count
    columns.offset[row] = cursor.offset
    columns.index[row] = 0
    columns.valueStart[row] = cursor.valueStart
    columns.valueEnd[row] = cursor.valueEnd
    const { timestampMs } = cursor
    if (timestampMs > state.appendMax && timestampMs <= APPEND_MS_MAX) state.appendMax = timestampMs
    const reason = this.#decoder.decode(cursor)
    if (reason === undefined) state.interner.append(this.#decoder.fields, state.appendMax, columns)
    else state.interner.appendInvalid(reason, columns)
  }

  #foldColumns(state: PartitionState): void {
    const columns = this.#columns
    if (columns.count === 0) return
    fold(state, columns)
    const { records, valueStart, valueEnd, offset, count } = columns
    const start = Math.max(valueStart[count - 1]!, 0)
    const end = Math.max(valueEnd[count - 1]!, 0)
    this.lastRecord = { offset: offset[count - 1]!, records, start, end }
    state.next = offset[count - 1]! + 1
    columns.clear(records)
  }
}
