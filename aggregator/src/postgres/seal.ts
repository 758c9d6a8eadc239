import { PAGE_SLOTS } from '@countersink/shared/page-format'
import type { CounterState } from '../core/counter-states.ts'
import type { Reject } from '../core/ledger.ts'
import type { PartitionState } from '../core/partition-state.ts'
import { parseSeriesName } from '../core/series-dictionary.ts'
import { gatherSlots, type SlotScratch, createSlotScratch } from './slot-scratch.ts'
import type { CopyWriter } from './copy-binary.ts'
import { rangeOf, type RowRange } from './copy-rows.ts'
import type { CounterIds } from './counter-ids.ts'
import { takeNewIds } from './id-groups.ts'

/** The log's part of a commit, for all partitions in it: rows that are new and therefore copied. */
export type LogWriters = {
  series: CopyWriter
  commits: CopyWriter
  deltas: CopyWriter
}

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
  /** Its rows in the writers: a partition that turns out fenced is left out of the COPY. */
  rows: Record<keyof LogWriters, RowRange>
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

const NO_ROWS: RowRange = { start: 0, end: 0 }
const scratch: SlotScratch = createSlotScratch()

/**
 * Closes what was folded since the last commit: writes its rows, takes its deltas into the dirt and
 * opens an empty layer, so that the next batch can fold at once. Every new counter must have its
 * number already. From here on the commit either succeeds, is repeated as it is, or the state is
 * dropped: nothing is ever taken back.
 */
export function sealPartition(
  state: PartitionState,
  counterIds: CounterIds,
  writers: LogWriters,
): SealedPartition {
  const { first, next, ledger, appendMax } = state
  const counterOf = (ordinal: number): number => counterIds.of(state.counters.list[ordinal]!.name)
  const { applied, duplicate, conflict, late, invalid, misrouted, read, rejects } = ledger
  const sealed: SealedPartition = {
    state,
    first,
    next,
    appendMax,
    idsFloor: idsFloorOf(state),
    counts: { read, applied, duplicate, conflict, late, invalid, misrouted },
    clocks: takeClocks(state, counterOf),
    rejects,
    rows: { series: NO_ROWS, commits: NO_ROWS, deltas: NO_ROWS },
  }
  sealed.rows.series = rangeOf(writers.series, () => {
    for (const [ordinal, counter] of state.counters.list.entries()) {
      writeSeries(state.partition, counter, counterOf(ordinal), writers.series)
    }
  })
  if (next > first) {
    const ids = takeNewIds(state.ids, counterOf)
    sealed.rows.commits = rangeOf(writers.commits, () => writeCommit(sealed, ids, writers.commits))
    sealed.rows.deltas = rangeOf(writers.deltas, () =>
      writeDeltas(state, counterOf, writers.deltas),
    )
    state.dirt.absorb(state.open, first, state.counters.list)
    state.open.clear()
  }
  state.first = next
  ledger.reset(next)
  return sealed
}

function idsFloorOf(state: PartitionState): number {
  let floor = state.next
  for (const bucket of state.ids.buckets()) floor = Math.min(floor, bucket.firstOffset)
  return floor
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

function writeSeries(partition: number, counter: CounterState, id: number, to: CopyWriter): void {
  const { dictionary } = counter
  for (let slot = counter.seriesSaved; slot < dictionary.size; slot++) {
    const { key, dims } = parseSeriesName(dictionary.name(slot))
    to.row(5)
    to.int4(id)
    to.int4(partition)
    to.int4(slot)
    to.text(key)
    to.jsonb(JSON.stringify(dims))
  }
  counter.seriesSaved = dictionary.size
}

function writeCommit(sealed: SealedPartition, ids: Buffer, to: CopyWriter): void {
  const { state, first, next, counts, clocks } = sealed
  to.row(12)
  to.int4(state.partition)
  to.int8(first)
  to.int8(next)
  to.int4(counts.read)
  to.int4(counts.applied)
  to.int4(counts.duplicate)
  to.int4(counts.conflict)
  to.int4(counts.late)
  to.int4(counts.invalid)
  const pairs = Float64Array.from(clocks.flatMap(({ counter, clock }) => [counter, clock]))
  to.int8Array(pairs, 0, pairs.length)
  to.bytea(ids)
  to.bytea(state.ledger.outcomes.take())
}

/** One row per counter and window touched, its slots in ascending order. */
function writeDeltas(
  state: PartitionState,
  counterOf: (ordinal: number) => number,
  to: CopyWriter,
) {
  const { open } = state
  for (const { counter, start, directory } of open.families()) {
    scratch.length = 0
    for (let page = 0; page < directory.length; page++) {
      const block = directory[page]!
      if (block >= 0) gatherSlots(open, block, page * PAGE_SLOTS, scratch)
    }
    to.row(7)
    to.int4(state.partition)
    to.int8(state.first)
    to.int4(counterOf(counter))
    to.int8(start)
    to.int4Array(scratch.slots, 0, scratch.length)
    writeSums(scratch, to)
  }
}

/** Two fields: the low 64 bits of the sums, and their carries or null. */
export function writeSums(sums: SlotScratch, to: CopyWriter): void {
  if (sums.wide === undefined) {
    to.int8Array(sums.lows, 0, sums.length)
    to.null()
  } else {
    to.bigInt8Array(BigInt64Array.from(sums.wide.lows))
    to.bigInt8Array(BigInt64Array.from(sums.wide.carries))
  }
}
