import { PAGE_SLOTS } from '@countersink/shared/page-format'
import type { CounterState } from '../core/series/counter-states.ts'
import type { Reject } from '../core/ledger.ts'
import type { PartitionState } from '../core/partition-state.ts'
import type { CounterIds } from './counter-ids.ts'
import { takeNewIds } from './id-groups.ts'
import type { LogRows } from './log-rows.ts'

/** What a commit says of one partition besides its copied rows: the compare-and-set and the ledger. */
export type SealedPartition = {
  state: PartitionState
  first: number
  next: number
  idsFloor: number
  appendMax: number
  counts: SealedCounts
  /** Ordinal, number and clock of the counters whose clock moved. */
  clocks: { ordinal: number; counter: number; clock: number }[]
  rejects: Reject[]
}

export type SealedCounts = {
  read: number
  applied: number
  duplicate: number
  conflict: number
  late: number
  invalid: number
  misrouted: number
}

/**
 * Closes what was folded since the last commit: adds its rows to the log's, takes its deltas into the dirt and
 * opens an empty layer, so that the next batch can fold at once. Every new counter must have its
 * number already. From here on the commit either succeeds, is repeated as it is, or the state is
 * dropped: nothing is ever taken back.
 */
export function sealPartition(
  state: PartitionState,
  counterIds: CounterIds,
  log: LogRows,
): SealedPartition {
  const { first, next, ledger, appendMax } = state
  const counterOf = (ordinal: number): number => counterIds.of(state.counters.list[ordinal]!.name)
  const { applied, duplicate, conflict, late, invalid, misrouted, read, rejects } = ledger
  const sealed: SealedPartition = {
    state,
    first,
    next,
    appendMax,
    idsFloor: state.ids.floor(next),
    counts: { read, applied, duplicate, conflict, late, invalid, misrouted },
    clocks: takeClocks(state, counterOf),
    rejects,
  }
  for (const [ordinal, counter] of state.counters.list.entries()) {
    addSeries(state, ordinal, counter, counterOf(ordinal), log)
  }
  if (next > first) {
    addCommit(sealed, takeNewIds(state.ids, counterOf), log)
    addDeltas(state, counterOf, log)
    state.dirt.absorb(state.open, first, state.counters.list)
  }
  state.first = next
  ledger.reset(next)
  return sealed
}

function takeClocks(state: PartitionState, counterOf: (ordinal: number) => number) {
  const clocks: SealedPartition['clocks'] = []
  for (const [ordinal, counter] of state.counters.list.entries()) {
    if (counter.clock === counter.clockSaved) continue
    clocks.push({ ordinal, counter: counterOf(ordinal), clock: counter.clock })
    counter.clockSaved = counter.clock
  }
  return clocks
}

/** Not those of events that are only read so far. */
function addSeries(
  { partition, unfolded, next }: PartitionState,
  ordinal: number,
  counter: CounterState,
  id: number,
  log: LogRows,
): void {
  const size = unfolded.foldedSize(ordinal, counter, next)
  const place = { counter: id, partition }
  const change = counter.runs.extend(size, log.rewritesLeft)
  if (change) log.series.add(place, counter.dictionary, change)
  for (const run of counter.runs.takeUnfiltered(log.rewritesLeft)) {
    log.filters.add(place, counter.dictionary, run)
  }
}

function addCommit(sealed: SealedPartition, ids: Buffer, log: LogRows): void {
  const { state, first, next, counts } = sealed
  const clocks = sealed.clocks.flatMap(({ counter, clock }) => [counter, clock])
  const outcomes = state.ledger.outcomes.take()
  log.addCommit({ partition: state.partition, first, next, ...counts, clocks, ids, outcomes })
}

/** One row per counter and window touched, its slots in ascending order. */
function addDeltas(state: PartitionState, counterOf: (ordinal: number) => number, log: LogRows) {
  const { open, partition, first } = state
  for (const { counter, start, directory } of open.families()) {
    for (let page = 0; page < directory.length; page++) {
      const block = directory[page]!
      if (block >= 0) log.sums.addTouched(open.pool, block, page * PAGE_SLOTS)
    }
    log.addDeltas({ partition, first, counter: counterOf(counter), start })
  }
}
