import type { FetchedBatch } from './fetched-batch.ts'

/**
 * One partition from its assignment to its loss; a partition that comes back gets a new object, so
 * that answers to questions of the old one are known by identity.
 */
export type PartitionState = {
  readonly partition: number
  /** The next offset to fetch; undefined until a start offset is known. */
  position: number | undefined
  /** Of the topic that `position` is a place in; undefined until the first fetch from there. */
  topicId: string | undefined
  /** Something has been read at this place, so another topic of the same name is not this log. */
  hasRead: boolean
  /** Grows when the position is moved by hand: fetches from before are void. */
  epoch: number
  paused: boolean
  /** Stopped by a corrupt batch, an offset out of range or a failed onBatch, until resumed. */
  stopped: boolean
  /** Fetched and not yet delivered. */
  ready: FetchedBatch | undefined
  delivering: boolean
  /** Not fetched before this time (performance.now()), after an error of this partition. */
  retryAtMs: number
  failures: number
  /** The last fetch was too small for the partition's next batch: it goes first in the next. */
  cutAtStart: boolean
  /** What was last passed on of the log's ends, to notice changes without records. */
  seenLogStartOffset: number
  seenHighWatermark: number
  seenLastStableOffset: number
}

export function createPartitionState(partition: number): PartitionState {
  return {
    partition,
    position: undefined,
    topicId: undefined,
    hasRead: false,
    epoch: 0,
    paused: false,
    stopped: false,
    ready: undefined,
    delivering: false,
    retryAtMs: 0,
    failures: 0,
    cutAtStart: false,
    seenLogStartOffset: -1,
    seenHighWatermark: -1,
    seenLastStableOffset: -1,
  }
}

/** Moves the partition by hand; `ready` data are dropped. */
export function movePartition(state: PartitionState, position: number): void {
  state.position = position
  state.topicId = undefined
  state.hasRead = false
  state.epoch++
  state.ready = undefined
  state.cutAtStart = false
  state.retryAtMs = 0
  state.failures = 0
}

/** Gives back what was fetched and not delivered, so that it is fetched again later. */
export function dropReady(state: PartitionState): void {
  if (state.ready === undefined) return
  state.position = state.ready.fetchedOffset
  state.ready = undefined
}

export function wantsData(state: PartitionState): state is PartitionState & { position: number } {
  return state.position !== undefined && !state.paused && !state.stopped
}
