import { INVALID_REASONS, type InvalidReason } from '@countersink/shared/reasons'
import { SdkIdReader } from '@countersink/shared/sdk-id'
import type { Columns } from '../columns.ts'
import { type CounterStates, NEW_COUNTER } from './counter-states.ts'
import type { Fields } from '../decode/fields.ts'
import { NEW } from '../ids/id-table.ts'
import { finishHash, type HashKey, mixWord, tableHash, viewOf } from '../keyed-hash.ts'
import type { RememberedIds } from '../ids/remembered-ids.ts'
import type { Placement } from '../routing/placement.ts'
import { NO_SLOT } from './series-dictionary.ts'
import { SeriesInterner } from './series-interner.ts'

const TWO_32 = 2 ** 32

const REASON_CODES = new Map(INVALID_REASONS.map((reason, i) => [reason, i + 1]))

/** The reason behind a code of the column `reason`; undefined for 0, a valid event. */
export function reasonOfCode(code: number): InvalidReason | undefined {
  return INVALID_REASONS[code - 1]
}

/**
 * Turns the fields of one decoded event into a row of numbers: its counter, its series' slots, and
 * its identity: the lane and sequence of an id that an SDK made, of any other one the hash, with the
 * digest of its payload.
 */
export class Interner {
  readonly series: SeriesInterner
  readonly #hashKey: HashKey
  readonly #ids: RememberedIds
  readonly #sdkId = new SdkIdReader()
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))

  constructor(hashKey: HashKey, counters: CounterStates, ids: RememberedIds, placement: Placement) {
    this.#hashKey = hashKey
    this.series = new SeriesInterner(counters, placement)
    this.#ids = ids
  }

  /**
   * Appends the event to the columns (its offset, index and value are the caller's to set), valid
   * or not. `appendMax` is the largest append time of the log so far, this record's included;
   * `knownOrdinal` and `knownSlot` are those of its key, where they were looked up and found before.
   */
  append(
    fields: Fields,
    appendMax: number,
    columns: Columns,
    knownOrdinal: number = NEW_COUNTER,
    knownSlot: number = NO_SLOT,
  ): void {
    const { bytes } = fields
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = viewOf(bytes)
    }
    const view = this.#view
    const reason = this.series.intern(fields, view, appendMax, columns, knownOrdinal, knownSlot)
    if (reason !== undefined) {
      this.appendInvalid(reason, columns)
      return
    }
    const { ordinal, slot, placed } = this.series
    const row = columns.count++
    columns.breakdownEnd[row] = columns.breakdownCount
    columns.reason[row] = 0
    columns.counter[row] = ordinal
    columns.slot[row] = slot
    columns.at[row] = fields.at
    columns.delta[row] = fields.delta
    columns.misrouted[row] = placed
    this.identify(columns, row, bytes, view, fields.idStart, fields.idEnd, this.#dimsSum(fields))
  }

  appendInvalid(reason: InvalidReason, columns: Columns): void {
    const row = columns.count++
    columns.reason[row] = REASON_CODES.get(reason)!
    columns.breakdownEnd[row] = columns.breakdownCount
  }

  /**
   * Sets what a row is recognised by, from its id `bytes[start, end)`; its counter, slot, delta and
   * time are set already. `dimsSum` is dimsSum of its dims.
   */
  identify(
    columns: Columns,
    row: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    dimsSum: number,
  ): void {
    const counter = columns.counter[row]!
    const isMade = this.#sdkId.read(bytes, start, end)
    if (isMade && !this.#ids.mayBeHashed(counter)) {
      columns.lane[row] = this.#ids.lanes.intern(bytes, start, this.#sdkId.lane)
      columns.sequence[row] = this.#sdkId.sequence
      return
    }
    const { dictionary } = this.series.counters.list[counter]!
    const state = dictionary.stateAt(columns.slot[row]!)
    finishHash(dictionary.states, state, view, start, end, columns.ids, 4 * row)
    columns.ids[4 * row + 3] = this.#digest(columns.delta[row]!, columns.at[row]!, dimsSum)
    columns.lane[row] = -1
    if (isMade && this.#ids.hashed.find(columns.ids, 4 * row) === NEW) {
      columns.lane[row] = this.#ids.lanes.intern(bytes, start, this.#sdkId.lane)
      columns.sequence[row] = this.#sdkId.sequence
    }
  }

  /** A number of the dims, whatever their order: their hashes are added. 0 when there are none. */
  dimsSum(view: DataView, dims: Int32Array, from: number, count: number): number {
    let sum = count
    for (let i = from; i < from + count; i++) {
      const name = tableHash(this.#hashKey[2]!, view, dims[4 * i]!, dims[4 * i + 1]!)
      sum = (sum + tableHash(name, view, dims[4 * i + 2]!, dims[4 * i + 3]!)) | 0
    }
    return sum
  }

  #dimsSum({ dims, dimCount }: Fields): number {
    return dimCount === 0 ? 0 : this.dimsSum(this.#view, dims, 0, dimCount)
  }

  #digest(delta: number, at: number, dimsSum: number): number {
    let digest = this.#hashKey[1]!
    digest = mixWord(digest, delta | 0)
    digest = mixWord(digest, Math.floor(delta / TWO_32) | 0)
    digest = mixWord(digest, at | 0)
    digest = mixWord(digest, Math.floor(at / TWO_32) | 0)
    return dimsSum === 0 ? digest : mixWord(digest, dimsSum)
  }
}
