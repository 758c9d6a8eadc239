import { type Contract, CONTRACT_LIMITS } from '@countersink/shared/contracts'
import { INVALID_REASONS, type InvalidReason } from '@countersink/shared/reasons'
import { partitionOf } from '@countersink/shared/routing'
import { SdkIdReader } from '@countersink/shared/sdk-id'
import type { Columns } from './columns.ts'
import {
  type CounterState,
  type CounterStates,
  NEW_COUNTER,
  UNKNOWN_COUNTER,
} from './counter-states.ts'
import type { Fields } from './fields.ts'
import { finishHash, type HashKey, mixWord, tableHash, viewOf } from './keyed-hash.ts'
import type { LaneTable } from './lane-table.ts'
import { MISROUTED } from './series-dictionary.ts'

const NAME_BYTES_MAX = 8192
const SLASH = 0x2f
const TWO_32 = 2 ** 32

const REASON_CODES = new Map(INVALID_REASONS.map((reason, i) => [reason, i + 1]))

/** The reason behind a code of the column `reason`; undefined for 0, a valid event. */
export function reasonOfCode(code: number): InvalidReason | undefined {
  return INVALID_REASONS[code - 1]
}

/**
 * Turns the fields of one decoded event into numbers: its counter, its series' slots, the hash of
 * its identity and the digest of its payload. What the contract alone can refuse is refused here,
 * before a slot is dealt, so that no bad event leaves a series behind.
 */
export class Interner {
  readonly #hashKey: HashKey
  readonly #counters: CounterStates
  readonly #lanes: LaneTable
  readonly #sdkId = new SdkIdReader()
  readonly #partition: number
  readonly #partitions: number
  readonly #name = Buffer.alloc(NAME_BYTES_MAX)
  readonly #nameView = viewOf(this.#name)
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))

  constructor(
    hashKey: HashKey,
    counters: CounterStates,
    lanes: LaneTable,
    partition: number,
    partitions: number,
  ) {
    this.#hashKey = hashKey
    this.#counters = counters
    this.#lanes = lanes
    this.#partition = partition
    this.#partitions = partitions
  }

  /**
   * Appends the event to the columns (its offset, index and value are the caller's to set), valid
   * or not. `appendMax` is the largest append time of the log so far, this record's included.
   */
  append(fields: Fields, appendMax: number, columns: Columns): void {
    const reason = this.#intern(fields, appendMax, columns)
    if (reason !== undefined) this.appendInvalid(reason, columns)
  }

  appendInvalid(reason: InvalidReason, columns: Columns): void {
    const row = columns.count++
    columns.reason[row] = REASON_CODES.get(reason)!
    columns.breakdownEnd[row] = columns.breakdownCount
  }

  #intern(fields: Fields, appendMax: number, columns: Columns): InvalidReason | undefined {
    const { bytes } = fields
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = viewOf(bytes)
    }
    const view = this.#view
    let ordinal = this.#counters.find(bytes, view, fields.counterStart, fields.counterEnd)
    if (ordinal === UNKNOWN_COUNTER) return 'unknown-counter'
    if (ordinal === NEW_COUNTER) {
      const reason = this.#refuseNew(fields, appendMax)
      if (reason !== undefined) return reason
      ordinal = this.#counters.deal(bytes.subarray(fields.counterStart, fields.counterEnd))
    }
    const counter = this.#counters.list[ordinal]!
    const { contract, dictionary } = counter
    const refused = refuse(fields, contract, appendMax)
    if (refused !== undefined) return refused
    let slot = dictionary.find(bytes, view, fields.keyStart, fields.keyEnd)
    if (slot >= 0) {
      const misrouted = (dictionary.flags(slot) & MISROUTED) !== 0
      if (misrouted && contract.rejectMisrouted) return 'misrouted'
    } else {
      const misrouted = this.#isMisrouted(fields)
      if (misrouted && contract.rejectMisrouted) return 'misrouted'
      if (!hasRoom(counter)) return 'series-quota'
      const length = fields.keyEnd - fields.keyStart
      slot = dictionary.deal(
        bytes,
        fields.keyStart,
        fields.keyEnd,
        length,
        misrouted ? MISROUTED : 0,
      )
    }
    if (counter.breakdowns.length > 0 && fields.dimCount > 0) {
      if (!this.#addBreakdowns(fields, counter, columns)) return 'series-quota'
    }
    const row = columns.count++
    columns.breakdownEnd[row] = columns.breakdownCount
    columns.reason[row] = 0
    columns.counter[row] = ordinal
    columns.slot[row] = slot
    columns.at[row] = fields.at
    columns.delta[row] = fields.delta
    columns.misrouted[row] = dictionary.flags(slot) & MISROUTED
    if (this.#sdkId.read(bytes, fields.idStart, fields.idEnd)) {
      columns.lane[row] = this.#lanes.intern(bytes, fields.idStart, this.#sdkId.lane)
      columns.sequence[row] = this.#sdkId.sequence
    } else {
      columns.lane[row] = -1
    }
    const state = dictionary.stateAt(slot)
    finishHash(dictionary.states, state, view, fields.idStart, fields.idEnd, columns.ids, 4 * row)
    columns.ids[4 * row + 3] = this.#digest(fields, view)
    return undefined
  }

  /** Why an event would be invalid that would be the first of its counter here. */
  #refuseNew(fields: Fields, appendMax: number): InvalidReason | undefined {
    const { bytes, counterStart, counterEnd } = fields
    const contract = this.#counters.contractOf(bytes.subarray(counterStart, counterEnd))
    if (contract === undefined) return 'unknown-counter'
    if (this.#counters.isFull) return 'counter-quota'
    const refused = refuse(fields, contract, appendMax)
    if (refused !== undefined) return refused
    if (contract.rejectMisrouted && this.#isMisrouted(fields)) return 'misrouted'
    return 1 + contract.breakdowns.length > contract.seriesMax ? 'series-quota' : undefined
  }

  /** The digest of delta, at and dims, whatever the order of the dims: their hashes are added. */
  #digest(fields: Fields, view: DataView): number {
    let digest = this.#hashKey[1]!
    digest = mixWord(digest, fields.delta | 0)
    digest = mixWord(digest, Math.floor(fields.delta / TWO_32) | 0)
    digest = mixWord(digest, fields.at | 0)
    digest = mixWord(digest, Math.floor(fields.at / TWO_32) | 0)
    if (fields.dimCount === 0) return digest
    let sum = fields.dimCount
    for (let i = 0; i < fields.dimCount; i++) {
      const [nameStart, nameEnd, valueStart, valueEnd] = dimAt(fields, i)
      const name = tableHash(this.#hashKey[2]!, view, nameStart, nameEnd)
      sum = (sum + tableHash(name, view, valueStart, valueEnd)) | 0
    }
    return mixWord(digest, sum)
  }

  #isMisrouted(fields: Fields): boolean {
    const { bytes, counterStart, counterEnd, keyStart, keyEnd } = fields
    const counterLength = counterEnd - counterStart
    this.#name.set(bytes.subarray(counterStart, counterEnd), 0)
    this.#name[counterLength] = SLASH
    this.#name.set(bytes.subarray(keyStart, keyEnd), counterLength + 1)
    const recordKey = this.#name.subarray(0, counterLength + 1 + keyEnd - keyStart)
    return partitionOf(recordKey, this.#partitions) !== this.#partition
  }

  /** Adds the slot of each breakdown whose dims the event has; false when there is no room for one. */
  #addBreakdowns(fields: Fields, counter: CounterState, columns: Columns): boolean {
    const before = columns.breakdownCount
    const { dictionary } = counter
    const keyLength = fields.keyEnd - fields.keyStart
    for (const names of counter.breakdowns) {
      const end = this.#breakdownName(fields, names)
      if (end < 0) continue
      const found = dictionary.find(this.#name, this.#nameView, 0, end)
      if (found < 0 && !hasRoom(counter)) {
        columns.breakdownCount = before
        return false
      }
      columns.addBreakdown(found >= 0 ? found : dictionary.deal(this.#name, 0, end, keyLength, 0))
    }
    return true
  }

  /** Writes key NUL name NUL value … of a breakdown to #name; -1 if the event lacks one of its dims. */
  #breakdownName(fields: Fields, names: readonly Uint8Array[]): number {
    const { bytes } = fields
    this.#name.set(bytes.subarray(fields.keyStart, fields.keyEnd), 0)
    let end = fields.keyEnd - fields.keyStart
    for (const name of names) {
      const dim = findDim(fields, name)
      if (dim < 0) return -1
      const [nameStart, nameEnd, valueStart, valueEnd] = dimAt(fields, dim)
      this.#name[end++] = 0
      this.#name.set(bytes.subarray(nameStart, nameEnd), end)
      end += nameEnd - nameStart
      this.#name[end++] = 0
      this.#name.set(bytes.subarray(valueStart, valueEnd), end)
      end += valueEnd - valueStart
    }
    return end
  }
}

/** What the contract and the append time say of an event, whatever was counted before. */
function refuse(fields: Fields, contract: Contract, appendMax: number): InvalidReason | undefined {
  const { delta, at } = fields
  if (contract.positiveOnly && delta < 0) return 'negative-delta'
  if (delta > contract.deltaMax || delta < -contract.deltaMax) return 'delta-out-of-bounds'
  return at > appendMax + CONTRACT_LIMITS.skewMs ? 'future' : undefined
}

/** Room for all that one event can bring, so that an event brings all of its series or none. */
function hasRoom(counter: CounterState): boolean {
  const most = 1 + counter.breakdowns.length
  return counter.dictionary.size + most <= counter.contract.seriesMax
}

type Dim = [nameStart: number, nameEnd: number, valueStart: number, valueEnd: number]

function dimAt(fields: Fields, i: number): Dim {
  const { dims } = fields
  return [dims[4 * i]!, dims[4 * i + 1]!, dims[4 * i + 2]!, dims[4 * i + 3]!]
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
