import type { PartitionState } from './core/partition-state.ts'
import type { CommitMode } from './due-pages.ts'
import { LIMITS } from './limits.ts'
import { eventsBehind, type OwnedPartition } from './owned-partition.ts'
import type { Ownership } from './ownership.ts'

/**
 * When to commit. Live: as soon as something is folded, but not more often than the interval, so
 * that what comes is seen at once. Behind: large commits, since what one costs is mostly its pages,
 * but none larger than what still waits: the last is then short, with nothing to fold beside it;
 * the one that has caught up, or was hurried, leaves no page behind. Idle with dirt: pages alone, so
 * that a take-over finds little. Idle with runs of series that lack their filters: those.
 */
export class CommitPace {
  readonly #ownership: Pick<Ownership, 'loaded'>
  readonly #liveIntervalMs: number
  #wake: (() => void) | undefined
  #afterCommit: (() => void)[] = []
  #lastCommitAt = 0
  #blocked = 0
  #hurried = false
  /** The last commit was behind: it has left pages that wait for the next one. */
  #wasBehind = false
  /** The commit under way takes partitions in which nothing moved, too. */
  #takesAll = true
  #tookAllAt = 0

  constructor(ownership: Pick<Ownership, 'loaded'>, liveIntervalMs: number) {
    this.#ownership = ownership
    this.#liveIntervalMs = liveIntervalMs
  }

  notify(): void {
    this.#wake?.()
  }

  /** What is folded from now on may miss the commit: whoever hurries then has to ask for another. */
  begun(mode: CommitMode): void {
    this.#wasBehind = mode === 'behind'
    if (mode === 'flush') this.#hurried = false
    const now = performance.now()
    this.#takesAll = mode !== 'live' || now - this.#tookAllAt >= LIMITS.quietTurnMs
    if (this.#takesAll) this.#tookAllAt = now
  }

  committed(): void {
    this.#lastCommitAt = performance.now()
    this.#release()
  }

  /** Asks for a commit at once that writes all pages. */
  hurry(): void {
    this.#hurried = true
    this.notify()
  }

  pendingEvents(): number {
    return this.#ownership.loaded().reduce((sum, { state }) => sum + state!.ledger.read, 0)
  }

  /** The mode of the commit that is due now, or undefined when none is. */
  due(draining: boolean): CommitMode | undefined {
    const loaded = this.#ownership.loaded()
    const moved = loaded.some(({ state }) => state!.isMoved)
    const dirty = loaded.some(({ state }) => isDirty(state!))
    const sinceMs = performance.now() - this.#lastCommitAt
    if (this.#hurried && (moved || dirty)) return 'flush'
    if (!moved) {
      if (draining || !loaded.some(({ state }) => isOwing(state!))) return undefined
      if (this.#wasBehind) return 'flush'
      return sinceMs >= LIMITS.idleFlushMs ? 'idle' : undefined
    }
    const waiting = loaded.reduce((sum, owned) => sum + eventsBehind(owned), 0)
    if (waiting >= LIMITS.behindEventsMin) {
      const enough = Math.min(LIMITS.behindEventsPerCommit, waiting)
      const isFull = this.pendingEvents() >= enough || this.#blocked > 0
      const isOld = sinceMs >= LIMITS.behindCommitIntervalMs
      return isFull || isOld || draining ? 'behind' : undefined
    }
    if (sinceMs < this.#liveIntervalMs && this.#blocked === 0 && !draining) return undefined
    const hasCaughtUp = this.#wasBehind || this.pendingEvents() >= LIMITS.flushEventsMin
    return hasCaughtUp && !draining ? 'flush' : 'live'
  }

  /**
   * While others are live, a partition that fell silent writes its pages a few at a time as well, and
   * the filters that it lacks.
   */
  takesPart(state: PartitionState): boolean {
    return state.isMoved || (this.#takesAll && isOwing(state))
  }

  /** Waits until the next commit may be due; called when none is. */
  async wait(signal: AbortSignal): Promise<void> {
    // Whoever still waits for a commit waits for a state that was dropped meanwhile: none may come.
    this.#release()
    const moved = this.#ownership.loaded().some(({ state }) => state!.isMoved)
    const sinceMs = performance.now() - this.#lastCommitAt
    const intervalMs = moved ? this.#liveIntervalMs : LIMITS.idleFlushMs
    const restMs = intervalMs > sinceMs ? intervalMs - sinceMs : intervalMs
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => done(), restMs)
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = undefined
        resolve()
      }
      signal.addEventListener('abort', done, { once: true })
      // With something folded only the clock can make a commit due, or somebody who has no room.
      if (!moved || this.#blocked > 0) this.#wake = done
    })
  }

  async room(owned: OwnedPartition): Promise<void> {
    while (owned.state !== undefined && this.#isFull(owned.state)) {
      this.#blocked++
      this.notify()
      await this.afterCommit()
      this.#blocked--
    }
  }

  /** Resolves when the commit that is under way, or the next one, is over. */
  async afterCommit(): Promise<void> {
    await new Promise<void>((resolve) => this.#afterCommit.push(resolve))
  }

  #release(): void {
    for (const wake of this.#afterCommit.splice(0)) wake()
  }

  #isFull(state: PartitionState): boolean {
    return (
      state.open.size >= LIMITS.openBlocksMax || this.pendingEvents() >= LIMITS.pendingEventsMax
    )
  }
}

function isDirty({ dirt }: PartitionState): boolean {
  return dirt.sums.size > 0
}

/** True when commits have still to write something of it, though nothing new comes. */
function isOwing(state: PartitionState): boolean {
  return isDirty(state) || state.lacksFilters
}
