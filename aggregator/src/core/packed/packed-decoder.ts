import { CONTRACT_LIMITS } from '@countersink/shared/contracts'
import { LIMITS } from '@countersink/shared/event'
import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import type { InvalidReason } from '@countersink/shared/reasons'
import { SdkIdReader } from '@countersink/shared/sdk-id'
import { BreakdownCache } from '../series/breakdown-cache.ts'
import { type Columns, COLUMNS_CAPACITY } from '../columns.ts'
import { createFields } from '../decode/fields.ts'
import { viewOf } from '../keyed-hash.ts'
import { PackedRecord } from './packed-record.ts'
import { PackedSeries } from './packed-series.ts'
import type { PartitionState } from '../partition-state.ts'
import { HERE } from '../routing/placement.ts'
import { LANE_IN_FIELDS } from '../series/series-interner.ts'

const { eventsMax } = PACKED_LIMITS

/** Where a packed record lies: its offset, and its value (not null) inside the records section. */
export type PackedPlace = { offset: number; records: Buffer; valueStart: number; valueEnd: number }

/**
 * Turns one packed record after the other into rows. A record's dictionaries are resolved once: the
 * first event of a series goes the way that every JSON event goes, through the interner, and what it
 * found (counter, slot, bounds of its contract, breakdowns) serves the events after it. Slots are
 * dealt by those first events alone, in the order of events, so a record leaves behind what the same
 * events as JSON would.
 *
 * | event | way |
 * |---|---|
 * | of a series met in this record, within bounds, id in a range | a loop over typed arrays |
 * | with dims that a breakdown names | the same, slots of (series, dims) from a cache |
 * | the first of its series, or out of bounds | the interner, which has the rules |
 */
export class PackedDecoder {
  readonly record = new PackedRecord()
  readonly #fields = createFields()
  readonly #breakdowns = new BreakdownCache()
  #state: PartitionState | undefined
  #offset = 0
  #records: Buffer = Buffer.alloc(0)
  /** Over the same bytes. */
  #view = viewOf(this.#records)
  /** Later times are `future`, or no times at all. */
  #atMax = 0
  readonly #series = new PackedSeries()
  /** Of each set of dims, for digests: its sum, once it is known. */
  readonly #dimsSum = new Int32Array(eventsMax)
  readonly #knowsSum = new Uint8Array(eventsMax)
  #next = 0
  #block = 0
  /** The number of the present range's lane; -1 until an event of it was valid. */
  #lane = -1
  /** The present event's series is strict about where it lies, which is another question for each. */
  #isEachAsked = false
  readonly #sdkId = new SdkIdReader()

  /** Reads a record of the state's partition; the reason when it is none. Then `append` its rows. */
  open(state: PartitionState, place: PackedPlace): InvalidReason | undefined {
    const { record } = this
    const reason = record.read(place.records, place.valueStart, place.valueEnd)
    if (reason !== undefined) return reason
    if (place.records !== this.#records) {
      this.#records = place.records
      this.#view = viewOf(place.records)
    }
    this.#offset = place.offset
    this.#state = state
    this.#atMax = Math.min(LIMITS.atMsMax, state.appendMax + CONTRACT_LIMITS.skewMs)
    this.#series.find(record, this.#view, state)
    this.#knowsSum.fill(0, 0, record.dimsets)
    this.#breakdowns.clear()
    this.#next = 0
    this.#block = 0
    this.#lane = -1
    return undefined
  }

  /** Appends as many further events as the columns have room for; true while there are more. */
  append(columns: Columns): boolean {
    const { ids, count } = this.record
    const begin = this.#next
    const end = Math.min(count, begin + COLUMNS_CAPACITY - columns.count)
    this.#fillPlaces(columns, begin, end)
    for (let event = begin; event < end;) {
      const blockEnd = ids.blockEnd[this.#block]!
      const to = Math.min(blockEnd, end)
      if (ids.sessionStart[this.#block]! < 0) this.#appendRaw(columns, event, to)
      else this.#appendRange(columns, event, to)
      event = to
      if (to === blockEnd) {
        this.#block++
        this.#lane = -1
      }
    }
    this.#next = end
    return end < count
  }

  #fillPlaces(columns: Columns, begin: number, end: number): void {
    const from = columns.count
    const to = from + end - begin
    columns.offset.fill(this.#offset, from, to)
    for (let row = from; row < to; row++) columns.index[row] = begin + row - from
  }

  /** The hottest loop of packed records. */
  #appendRange(columns: Columns, from: number, to: number): void {
    const { seriesOf, dimsOf, dimsets, at, delta, ids } = this.record
    const hasDims = dimsets > 0
    const { slot: slots, ordinal: ordinals, placed, deltaMin, deltaMax } = this.#series
    const atMax = this.#atMax
    const block = this.#block
    const blockBegin = block === 0 ? 0 : ids.blockEnd[block - 1]!
    const first = ids.first[block]! - blockBegin
    const { reason, counter, slot, lane, sequence, misrouted, breakdownEnd } = columns
    const [ats, deltas] = [columns.at, columns.delta]
    let row = columns.count
    for (let event = from; event < to; event++) {
      const series = seriesOf[event]!
      const slotOfSeries = slots[series]!
      const time = at[event]!
      const amount = delta[event]!
      if (
        slotOfSeries >= 0 &&
        time >= 0 &&
        time <= atMax &&
        amount <= deltaMax[series]! &&
        amount >= deltaMin[series]! &&
        !(hasDims && dimsOf[event]! > 0)
      ) {
        reason[row] = 0
        counter[row] = ordinals[series]!
        slot[row] = slotOfSeries
        ats[row] = time
        deltas[row] = amount
        misrouted[row] = placed[series]!
        breakdownEnd[row] = columns.breakdownCount
      } else {
        columns.count = row
        if (!this.#appendOne(columns, event)) {
          row = columns.count
          continue
        }
      }
      if (this.#lane < 0) this.#lane = this.#internLane(block)
      lane[row] = this.#lane
      sequence[row] = first + event
      row++
    }
    columns.count = row
  }

  #appendRaw(columns: Columns, from: number, to: number): void {
    const { ids } = this.record
    const { interner } = this.#state!
    for (let event = from; event < to; event++) {
      const row = columns.count
      if (ids.isBad[event] === 1) {
        interner.appendInvalid('bad-id', columns)
        continue
      }
      if (!this.#appendOne(columns, event)) continue
      const sum = this.#dimsSumOf(event)
      const [start, end] = [ids.start[event]!, ids.end[event]!]
      interner.identify(columns, row, ids.bytes, ids.view, start, end, sum)
    }
  }

  /** Appends the row of an event but for its id; false when it is invalid. */
  #appendOne(columns: Columns, event: number): boolean {
    const { record } = this
    const series = record.seriesOf[event]!
    const dimset = this.#dimsetOf(event)
    if (!this.#isKnown(event, series) || !this.#addKnown(columns, series, dimset)) {
      const reason = this.#intern(columns, event, series, dimset)
      if (reason !== undefined) {
        this.#state!.interner.appendInvalid(reason, columns)
        return false
      }
    }
    const row = columns.count++
    columns.reason[row] = 0
    columns.counter[row] = this.#series.ordinal[series]!
    columns.slot[row] = this.#series.slot[series]!
    columns.at[row] = record.at[event]!
    columns.delta[row] = record.delta[event]!
    columns.misrouted[row] = this.#series.placed[series]!
    columns.breakdownEnd[row] = columns.breakdownCount
    if (this.#isEachAsked) this.#series.slot[series] = -1
    this.#isEachAsked = false
    return true
  }

  #isKnown(event: number, series: number): boolean {
    const at = this.record.at[event]!
    const delta = this.record.delta[event]!
    return (
      this.#series.slot[series]! >= 0 &&
      at >= 0 &&
      at <= this.#atMax &&
      delta >= this.#series.deltaMin[series]! &&
      delta <= this.#series.deltaMax[series]!
    )
  }

  /** Adds the breakdowns of an event whose series is known; false when they are not known. */
  #addKnown(columns: Columns, series: number, dimset: number): boolean {
    if (dimset < 0) return true
    if (this.record.dimsetIsBad[dimset] === 1) return false
    return (
      this.#series.hasBreakdowns[series] === 0 || this.#breakdowns.copy(series, dimset, columns)
    )
  }

  /**
   * Finds the series and the breakdowns of an event as the interner does, for this event and those
   * after it. What is wrong with its strings and its time comes first, in the order of checkEvent.
   */
  #intern(
    columns: Columns,
    event: number,
    series: number,
    dimset: number,
  ): InvalidReason | undefined {
    const { record } = this
    const at = record.at[event]!
    if (record.counterIsBad[record.seriesCounter[series]!] === 1) return 'bad-counter'
    if (record.keyIsBad[series] === 1) return 'bad-key'
    if (at < 0 || at > LIMITS.atMsMax) return 'bad-at'
    if (dimset >= 0 && record.dimsetIsBad[dimset] === 1) return 'bad-dims'
    this.#setFields(event, series, dimset)
    const { interner, appendMax, counters, placement } = this.#state!
    const from = columns.breakdownCount
    interner.series.lane = this.#laneOf(event)
    const reason = interner.series.intern(this.#fields, this.#view, appendMax, columns)
    interner.series.lane = LANE_IN_FIELDS
    if (reason !== undefined) return reason
    const { ordinal, slot, placed } = interner.series
    const counter = counters.list[ordinal]!
    this.#series.keep(series, counter, ordinal, slot, placed)
    this.#isEachAsked = counter.contract.rejectMisrouted && placement.kindOf(counter, slot) !== HERE
    if (dimset >= 0 && counter.breakdowns.length > 0) {
      this.#breakdowns.keep(series, dimset, columns, from)
    }
    return undefined
  }

  /** All fields of an event but its id. */
  #setFields(event: number, series: number, dimset: number): void {
    const { record } = this
    const fields = this.#fields
    const counter = record.seriesCounter[series]!
    fields.bytes = record.bytes
    fields.counterStart = record.counterStart[counter]!
    fields.counterEnd = record.counterEnd[counter]!
    fields.keyStart = record.keyStart[series]!
    fields.keyEnd = record.keyEnd[series]!
    fields.at = record.at[event]!
    fields.delta = record.delta[event]!
    fields.dimCount = dimset < 0 ? 0 : record.dimsetSize[dimset]!
    const from = dimset < 0 ? 0 : 4 * record.dimsetStart[dimset]!
    for (let i = 0; i < 4 * fields.dimCount; i++) fields.dims[i] = record.dims[from + i]!
  }

  /** -1 when the event has no dims. */
  #dimsetOf(event: number): number {
    return this.record.dimsets === 0 ? -1 : this.record.dimsOf[event]! - 1
  }

  #dimsSumOf(event: number): number {
    const dimset = this.#dimsetOf(event)
    if (dimset < 0) return 0
    if (this.#knowsSum[dimset] === 0) {
      const { dims, dimsetStart, dimsetSize } = this.record
      const { interner } = this.#state!
      const [start, size] = [dimsetStart[dimset]!, dimsetSize[dimset]!]
      this.#dimsSum[dimset] = interner.dimsSum(this.#view, dims, start, size)
      this.#knowsSum[dimset] = 1
    }
    return this.#dimsSum[dimset]!
  }

  /** The lane that the event's id names, -1 when no SDK made it. */
  #laneOf(event: number): number {
    const { ids } = this.record
    if (ids.sessionStart[this.#block]! >= 0) return ids.lane[this.#block]!
    return this.#sdkId.read(ids.bytes, ids.start[event]!, ids.end[event]!) ? this.#sdkId.lane : -1
  }

  #internLane(block: number): number {
    const { ids, bytes } = this.record
    return this.#state!.ids.lanes.intern(bytes, ids.sessionStart[block]!, ids.lane[block]!)
  }
}
