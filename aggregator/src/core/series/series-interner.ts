import { type Contract, CONTRACT_LIMITS } from '@countersink/shared/contracts'
import type { InvalidReason } from '@countersink/shared/reasons'
import { SdkIdReader } from '@countersink/shared/sdk-id'
import type { Columns } from '../columns.ts'
import {
  type CounterState,
  type CounterStates,
  NEW_COUNTER,
  UNKNOWN_COUNTER,
} from './counter-states.ts'
import type { Fields } from '../decode/fields.ts'
import { viewOf } from '../keyed-hash.ts'
import { HERE, type Placement } from '../routing/placement.ts'
import { NO_SLOT } from './series-dictionary.ts'

const NAME_BYTES_MAX = 8192
/** The lane is to be read from the id that is in the fields. */
export const LANE_IN_FIELDS = -2

/**
 * Finds the counter and the series of an event, and deals numbers to those that are new. What the
 * contract alone can refuse is refused here, before a slot is dealt, so that no bad event leaves a
 * counter or a series behind.
 */
export class SeriesInterner {
  /** Of the last event that was not refused: its counter, and the slot of its total. */
  ordinal = 0
  slot = 0
  /** And HERE when it is in its partition; else what its series alone says of it. */
  placed = HERE
  /** For fields without an id: the lane of the one that an SDK made, -1 for any other. */
  lane = LANE_IN_FIELDS
  readonly counters: CounterStates
  readonly #placement: Placement
  readonly #sdkId = new SdkIdReader()
  readonly #name = Buffer.alloc(NAME_BYTES_MAX)
  readonly #nameView = viewOf(this.#name)

  constructor(counters: CounterStates, placement: Placement) {
    this.counters = counters
    this.#placement = placement
  }

  /**
   * Sets `ordinal` and `slot`, and adds the slots of the event's breakdowns to the columns; or gives
   * the reason to refuse it. `view` is over the fields' bytes; `appendMax` is the largest append time
   * of the log so far, this record's included. `knownOrdinal` and `knownSlot` are those of its key,
   * where they were looked up and found before.
   */
  intern(
    fields: Fields,
    view: DataView,
    appendMax: number,
    columns: Columns,
    knownOrdinal: number = NEW_COUNTER,
    knownSlot: number = NO_SLOT,
  ): InvalidReason | undefined {
    const { bytes } = fields
    let ordinal = knownOrdinal
    if (ordinal < 0) {
      ordinal = this.counters.find(bytes, view, fields.counterStart, fields.counterEnd)
    }
    if (ordinal === UNKNOWN_COUNTER) return 'unknown-counter'
    if (ordinal === NEW_COUNTER) {
      const reason = this.#refuseNew(fields, appendMax)
      if (reason !== undefined) return reason
      ordinal = this.counters.deal(bytes.subarray(fields.counterStart, fields.counterEnd))
    }
    const counter = this.counters.list[ordinal]!
    const { contract, dictionary } = counter
    const refused = refuse(fields, contract, appendMax)
    if (refused !== undefined) return refused
    // Asked before anything is dealt, so that an event brings all of its series or none.
    const mayDeal = hasRoom(counter)
    let slot = knownSlot
    if (slot < 0) slot = dictionary.find(bytes, view, fields.keyStart, fields.keyEnd)
    if (slot < 0) {
      if (contract.rejectMisrouted && this.#isKeyMisrouted(fields)) return 'misrouted'
      if (!mayDeal) return 'series-quota'
      slot = this.#deal(fields, counter)
    }
    let placed = this.#placement.kindOf(counter, slot)
    if (placed !== HERE && contract.rejectMisrouted) {
      const lane = this.#laneOf(fields)
      if (this.#placement.isMisrouted(counter, ordinal, slot, fields.at, lane)) return 'misrouted'
      placed = HERE
    }
    if (counter.breakdowns.length > 0 && fields.dimCount > 0) {
      if (!this.#addBreakdowns(fields, counter, mayDeal, columns)) return 'series-quota'
    }
    this.ordinal = ordinal
    this.slot = slot
    this.placed = placed
    return undefined
  }

  #deal({ bytes, keyStart, keyEnd }: Fields, { dictionary }: CounterState): number {
    return dictionary.deal(bytes, keyStart, keyEnd, keyEnd - keyStart)
  }

  /** Why an event would be invalid that would be the first of its counter here. */
  #refuseNew(fields: Fields, appendMax: number): InvalidReason | undefined {
    const { bytes, counterStart, counterEnd } = fields
    const contract = this.counters.contractOf(bytes.subarray(counterStart, counterEnd))
    if (contract === undefined) return 'unknown-counter'
    if (this.counters.isFull) return 'counter-quota'
    const refused = refuse(fields, contract, appendMax)
    if (refused !== undefined) return refused
    if (contract.rejectMisrouted && this.#isKeyMisrouted(fields)) return 'misrouted'
    return 1 + contract.breakdowns.length > contract.seriesMax ? 'series-quota' : undefined
  }

  #isKeyMisrouted(fields: Fields): boolean {
    const { bytes, counterStart, counterEnd, keyStart, keyEnd, at } = fields
    const counter = bytes.subarray(counterStart, counterEnd)
    const key = bytes.subarray(keyStart, keyEnd)
    return this.#placement.isKeyMisrouted(counter, key, at, this.#laneOf(fields))
  }

  #laneOf({ bytes, idStart, idEnd }: Fields): number {
    if (this.lane !== LANE_IN_FIELDS) return this.lane
    return this.#sdkId.read(bytes, idStart, idEnd) ? this.#sdkId.lane : -1
  }

  /** Adds the slot of each breakdown whose dims the event has; false when one may not be dealt. */
  #addBreakdowns(
    fields: Fields,
    counter: CounterState,
    mayDeal: boolean,
    columns: Columns,
  ): boolean {
    const before = columns.breakdownCount
    const { dictionary } = counter
    const keyLength = fields.keyEnd - fields.keyStart
    for (const names of counter.breakdowns) {
      const end = this.#breakdownName(fields, names)
      if (end < 0) continue
      const found = dictionary.find(this.#name, this.#nameView, 0, end)
      if (found < 0 && !mayDeal) {
        columns.breakdownCount = before
        return false
      }
      columns.addBreakdown(found >= 0 ? found : dictionary.deal(this.#name, 0, end, keyLength))
    }
    return true
  }

  /** Writes key NUL name NUL value … of a breakdown to #name; -1 if the event lacks one of its dims. */
  #breakdownName(fields: Fields, names: readonly Uint8Array[]): number {
    const { bytes, dims } = fields
    let end = this.#copyName(bytes, fields.keyStart, fields.keyEnd, 0)
    for (const name of names) {
      const dim = findDim(fields, name)
      if (dim < 0) return -1
      this.#name[end++] = 0
      end = this.#copyName(name, 0, name.length, end)
      this.#name[end++] = 0
      end = this.#copyName(bytes, dims[4 * dim + 2]!, dims[4 * dim + 3]!, end)
    }
    return end
  }

  /** In a loop: for texts so short a call with a view of its own takes longer, and makes garbage. */
  #copyName(bytes: Uint8Array, start: number, end: number, at: number): number {
    const name = this.#name
    let to = at
    for (let i = start; i < end; i++) name[to++] = bytes[i]!
    return to
  }
}

/** What the contract and the append time say of an event, whatever was counted before. */
function refuse(fields: Fields, contract: Contract, appendMax: number): InvalidReason | undefined {
  const { delta, at } = fields
  if (contract.positiveOnly && delta < 0) return 'negative-delta'
  if (delta > contract.deltaMax || delta < -contract.deltaMax) return 'delta-out-of-bounds'
  return at > appendMax + CONTRACT_LIMITS.skewMs ? 'future' : undefined
}

/** Room for all that one event can bring. */
function hasRoom(counter: CounterState): boolean {
  const most = 1 + counter.breakdowns.length
  return counter.dictionary.size + most <= counter.contract.seriesMax
}

function findDim(fields: Fields, name: Uint8Array): number {
  for (let i = 0; i < fields.dimCount; i++) {
    const start = fields.dims[4 * i]!
    if (fields.dims[4 * i + 1]! - start !== name.length) continue
    let same = 0
    while (same < name.length && fields.bytes[start + same] === name[same]) same++
    if (same === name.length) return i
  }
  return -1
}
