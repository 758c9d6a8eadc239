import type { Contract } from '@countersink/shared/contracts'
import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import type { CounterState } from '../series/counter-states.ts'
import type { PackedRecord } from './packed-record.ts'
import type { PartitionState } from '../partition-state.ts'
import { HERE } from '../routing/placement.ts'

const { eventsMax } = PACKED_LIMITS

/**
 * What is known of each series of one packed record, so that its events need not ask: `slot` is -1
 * while that has to be found out, by an event that is valid.
 */
export class PackedSeries {
  readonly slot = new Int32Array(eventsMax)
  readonly ordinal = new Int32Array(eventsMax)
  /** HERE or what placement.ts says otherwise. */
  readonly placed = new Uint8Array(eventsMax)
  readonly hasBreakdowns = new Uint8Array(eventsMax)
  readonly deltaMin = new Float64Array(eventsMax)
  readonly deltaMax = new Float64Array(eventsMax)

  /**
   * Looks up all of the record's series at once. Those that have slots already are known, but for
   * the ones whose contract asks of each event where it lies.
   */
  find(record: PackedRecord, view: DataView, state: PartitionState): void {
    const { bytes, series, seriesCounter, counterStart, counterEnd } = record
    this.slot.fill(-1, 0, series)
    for (let from = 0, to = 0; from < series; from = to) {
      const counter = seriesCounter[from]!
      for (to = from + 1; to < series && seriesCounter[to] === counter; to++);
      const [start, end] = [counterStart[counter]!, counterEnd[counter]!]
      const ordinal = state.counters.find(bytes, view, start, end)
      if (ordinal >= 0) this.#findOf(record, view, state, ordinal, from, to)
    }
  }

  #findOf(
    { bytes, keyStart, keyEnd, keyIsBad }: PackedRecord,
    view: DataView,
    { counters, placement }: PartitionState,
    ordinal: number,
    from: number,
    to: number,
  ): void {
    const counter = counters.list[ordinal]!
    const { contract, dictionary, breakdowns } = counter
    const slots = this.slot
    dictionary.findMany(bytes, view, keyStart, keyEnd, from, to, slots)
    for (let series = from; series < to; series++) {
      const slot = slots[series]!
      if (slot < 0) continue
      const placed = placement.kindOf(counter, slot)
      const isEachAsked = placed !== HERE && contract.rejectMisrouted
      if (keyIsBad[series] === 1 || isEachAsked) slots[series] = -1
      else this.placed[series] = placed
    }
    this.ordinal.fill(ordinal, from, to)
    this.hasBreakdowns.fill(breakdowns.length > 0 ? 1 : 0, from, to)
    this.deltaMax.fill(contract.deltaMax, from, to)
    this.deltaMin.fill(deltaMinOf(contract), from, to)
  }

  /** What an event has found out about its series serves those after it. */
  keep(
    series: number,
    { contract, breakdowns }: CounterState,
    ordinal: number,
    slot: number,
    placed: number,
  ): void {
    this.slot[series] = slot
    this.ordinal[series] = ordinal
    this.placed[series] = placed
    this.hasBreakdowns[series] = breakdowns.length > 0 ? 1 : 0
    this.deltaMax[series] = contract.deltaMax
    this.deltaMin[series] = deltaMinOf(contract)
  }
}

function deltaMinOf({ positiveOnly, deltaMax }: Contract): number {
  return positiveOnly ? 0 : -deltaMax
}
