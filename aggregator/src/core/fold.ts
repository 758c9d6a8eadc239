import { PAGE_SHIFT, PAGE_SLOTS } from '@countersink/shared/page-format'
import { CONFLICT, DUPLICATE, INVALID, LATE } from '@countersink/shared/outcomes'
import type { Columns } from './columns.ts'
import type { CounterState } from './series/counter-states.ts'
import { NEW, SAME } from './ids/id-table.ts'
import { reasonOfCode } from './series/interner.ts'
import { packedEventText } from './packed/packed-text.ts'
import type { Family } from './sums/paged-sums.ts'
import type { PartitionState } from './partition-state.ts'
import { HERE } from './routing/placement.ts'

const SLOT_MASK = PAGE_SLOTS - 1

/**
 * The heart: folds a batch of decoded events into the state, one by one, in log order. Pure but for
 * the state it is given: no clock, no driver, no environment. Each event gets its outcome from
 * (invalid, late, duplicate or conflict, applied), then its counter's clock advances, then ids whose
 * bucket is all late are forgotten; so every split of the log into batches gives the same state.
 */
export function fold(state: PartitionState, columns: Columns): void {
  const { counters, ledger } = state
  const { hashed, intervals } = state.ids
  const list = counters.list
  const windows = new WindowFinder(state)
  state.sampler.take(columns)
  hashed.warm(columns.ids, columns.lane, columns.count)
  for (let row = 0; row < columns.count; row++) {
    if (columns.reason[row] !== 0) {
      reject(state, columns, row, INVALID)
      continue
    }
    const ordinal = columns.counter[row]!
    const counter = list[ordinal]!
    const at = columns.at[row]!
    if (at < counter.clock - counter.latenessMs) {
      reject(state, columns, row, LATE)
      continue
    }
    const lane = columns.lane[row]!
    const known = lane < 0 ? hashed.find(columns.ids, 4 * row) : findMade(state, columns, row)
    if (at > counter.clock) advance(state, ordinal, counter, at)
    if (known !== NEW) {
      reject(state, columns, row, known === SAME ? DUPLICATE : CONFLICT)
      continue
    }
    if (lane < 0) {
      hashed.insert(hashedBucket(state, ordinal, counter, at), columns.ids, 4 * row)
    } else {
      const bucket = intervalBucket(state, ordinal, counter, at)
      intervals.insert(bucket, lane, columns.sequence[row]!)
    }
    ledger.applied++
    if (columns.misrouted[row] !== HERE && isMisrouted(state, columns, row)) ledger.misrouted++
    const family = windows.find(ordinal, counter, at)
    const delta = columns.delta[row]!
    addDelta(state, family, columns.slot[row]!, delta)
    const end = columns.breakdownEnd[row]!
    for (let i = row === 0 ? 0 : columns.breakdownEnd[row - 1]!; i < end; i++) {
      addDelta(state, family, columns.breakdownSlots[i]!, delta)
    }
  }
}

/** What the series alone does not tell: where the version in force then sends it, or its id. */
function isMisrouted({ placement, counters, ids }: PartitionState, columns: Columns, row: number) {
  const ordinal = columns.counter[row]!
  const lane = columns.lane[row]!
  const made = lane < 0 ? -1 : ids.lanes.laneOf(lane)
  const [slot, at] = [columns.slot[row]!, columns.at[row]!]
  return placement.isMisrouted(counters.list[ordinal]!, ordinal, slot, at, made)
}

/** Moves a counter's clock, and forgets the buckets that are all late by it. */
function advance(state: PartitionState, ordinal: number, counter: CounterState, at: number): void {
  counter.clock = at
  const lateBefore = at - counter.latenessMs
  if (lateBefore < counter.expiresAt) return
  state.ids.expire(ordinal, lateBefore)
  counter.expiresAt = state.ids.firstEnd(ordinal)
}

/** An id that an SDK made is known or not: its payload is not remembered, so it is never a conflict. */
function findMade({ ids }: PartitionState, { counter, lane, sequence }: Columns, row: number) {
  return ids.intervals.has(counter[row]!, lane[row]!, sequence[row]!) ? SAME : NEW
}

/** The bucket for a hashed id by its `at`. An event that is not late never falls into an expired one. */
function hashedBucket(state: PartitionState, ordinal: number, counter: CounterState, at: number) {
  const bucket = state.ids.hashedBucket(ordinal, at, counter.bucketMs, state.first)
  if (bucket.end < counter.expiresAt) counter.expiresAt = bucket.end
  return bucket
}

/** The same for an id that an SDK made. */
function intervalBucket(state: PartitionState, ordinal: number, counter: CounterState, at: number) {
  const bucket = state.ids.intervalBucket(ordinal, at, counter.bucketMs, state.first)
  if (bucket.end < counter.expiresAt) counter.expiresAt = bucket.end
  return bucket
}

function addDelta(state: PartitionState, family: Family, slot: number, delta: number): void {
  const page = slot >> PAGE_SHIFT
  const known = family.directory[page]
  const block =
    known === undefined || known < 0 ? state.open.block(family, page, state.first) : known
  state.open.add(block, slot & SLOT_MASK, delta)
}

/** Remembers the window of the last event: neighbours in the log mostly share it. */
class WindowFinder {
  readonly #state: PartitionState
  #ordinal = -1
  #start = 0
  #end = 0
  #family: Family | undefined

  constructor(state: PartitionState) {
    this.#state = state
  }

  find(ordinal: number, counter: CounterState, at: number): Family {
    const last = this.#family
    if (ordinal === this.#ordinal && at >= this.#start && at < this.#end && last !== undefined) {
      return last
    }
    this.#ordinal = ordinal
    this.#start = Math.floor(at / counter.finestMs) * counter.finestMs
    this.#end = this.#start + counter.finestMs
    const family = this.#state.open.family(ordinal, counter.finestMs, this.#start)
    this.#family = family
    return family
  }
}

function reject(state: PartitionState, columns: Columns, row: number, outcome: number): void {
  const { ledger } = state
  const offset = columns.offset[row]!
  const index = columns.index[row]!
  ledger.outcomes.add(offset, index, outcome)
  switch (outcome) {
    case DUPLICATE:
      ledger.duplicate++
      return
    case CONFLICT:
      ledger.conflict++
      break
    case LATE:
      ledger.late++
      break
    default:
      ledger.invalid++
  }
  if (!ledger.hasRoom) return
  const name = outcome === CONFLICT ? 'conflict' : outcome === LATE ? 'late' : 'invalid'
  const reason = outcome === INVALID ? (reasonOfCode(columns.reason[row]!) ?? null) : null
  ledger.keep(name, reason, offset, index, valueOf(columns, row))
}

/** What is kept of a row for people to look at: its record's value, or its part of a packed one. */
function valueOf({ packed, records, index, valueStart, valueEnd }: Columns, row: number) {
  if (packed !== undefined) return Buffer.from(packedEventText(packed, index[row]!))
  return valueStart[row]! < 0 ? null : records.subarray(valueStart[row], valueEnd[row])
}
