import type { PartitionState } from './core/partition-state.ts'
import { EventDensity } from './event-density.ts'
import type { ClaimedPartition } from './postgres/claim.ts'

export type RecordMark = { offset: number; hash: number }

/**
 * A partition from its claim to its loss. One that comes back, or is loaded again, is a new object,
 * so that whatever still runs for the old one finds out by `dropped`.
 */
export type OwnedPartition = {
  readonly partition: number
  readonly token: string
  readonly claimed: ClaimedPartition
  readonly loading: AbortController
  /** Settles when the state is there; never rejects: a failed load is tried again, or dropped. */
  ready: Promise<void>
  state: PartitionState | undefined
  /** What is there of the state while it is loaded. */
  building: PartitionState | undefined
  /** Grows with each commit; the compare-and-set compares it. */
  revision: number
  dropped: boolean
  halted: string | undefined
  /** The offset the next fetch has to ask for. */
  expectedOffset: number
  /** Checked in the stream before anything is folded: is this still the log that was counted? */
  unverified: RecordMark | undefined
  /** The last record in commits. */
  record: RecordMark | undefined
  /** The last record folded. */
  lastFolded: RecordMark | undefined
  /** Committed data end here, as of the last fetch. */
  logEnd: number
  /** What an offset of its log has held lately. */
  readonly density: EventDensity
}

export function createOwnedPartition(claimed: ClaimedPartition, token: string): OwnedPartition {
  return {
    partition: claimed.partition,
    token,
    claimed,
    loading: new AbortController(),
    ready: Promise.resolve(),
    state: undefined,
    building: undefined,
    revision: claimed.revision,
    dropped: false,
    halted: claimed.halted,
    expectedOffset: claimed.next,
    unverified: undefined,
    record: claimed.record,
    lastFolded: undefined,
    logEnd: claimed.next,
    density: new EventDensity(),
  }
}

/** How many offsets are known to wait: what was fetched says where the log ends. */
export function lagOf({ state, claimed, logEnd }: OwnedPartition): number {
  return Math.max(0, logEnd - (state?.next ?? claimed.next))
}

/**
 * How many events these are, as far as what was folded lately tells; none in a halted partition, whose
 * wait is for an operator.
 */
export function eventsBehind(owned: OwnedPartition): number {
  return owned.halted === undefined ? lagOf(owned) * owned.density.eventsPerOffset : 0
}
