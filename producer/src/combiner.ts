import { CONTRACT_LIMITS } from '@countersink/shared/contracts'
import type { EventIntake } from './event-intake.ts'
import type { PendingEvent } from './pending-event.ts'

/** What a combined event may sum up to where no contract says what a delta may be. */
const DELTA_MAX_DEFAULT = 1000

/** Puts calls for one series and second together while their event has not left. */
export type Combiner = {
  /** The event that the call's has become part of; undefined when it has to be one of its own. */
  join: (intake: EventIntake, deadlineMs: number) => PendingEvent | undefined
  /** Others may join it from now on. */
  offer: (pending: PendingEvent) => void
  /** It does not change any more. */
  leave: (pending: PendingEvent) => void
}

/**
 * Deltas of one sign only: views and their corrections stay apart, and no sum comes out as 0 where
 * something happened. `earlierMsMax` bounds how much earlier than its own a call's deadline may be.
 * Of each series the last event alone can be joined: one look by a text that is there already.
 */
export function createCombiner(earlierMsMax: number): Combiner {
  /** By the serial of their lane, then by key and dims. */
  const open: Map<string, PendingEvent>[] = []

  return {
    join(intake, deadlineMs) {
      if (!mayCombine(intake)) return undefined
      const pending = open[intake.lane.serial]?.get(nameOf(intake))
      if (pending === undefined || !fit(pending, intake)) return undefined
      if (pending.deadlineMs < deadlineMs - earlierMsMax) return undefined
      const delta = pending.delta + intake.delta
      const deltaMax = intake.lane.counter.contract?.deltaMax ?? DELTA_MAX_DEFAULT
      if (Math.abs(delta) > Math.min(deltaMax, Number.MAX_SAFE_INTEGER)) return undefined
      pending.delta = delta
      pending.at = Math.min(pending.at, intake.at)
      return pending
    },
    offer(pending) {
      if (!mayCombine(pending)) return
      pending.canBeJoined = true
      const { serial } = pending.lane
      const ofLane = open[serial] ?? new Map<string, PendingEvent>()
      open[serial] = ofLane
      ofLane.set(nameOf(pending), pending)
    },
    leave(pending) {
      if (!pending.canBeJoined) return
      pending.canBeJoined = false
      const ofLane = open[pending.lane.serial]
      const name = nameOf(pending)
      if (ofLane?.get(name) === pending) ofLane.delete(name)
    },
  }
}

type Combinable = Pick<EventIntake, 'lane' | 'id' | 'key' | 'dims' | 'at' | 'delta'>

/** An event with an id of its own is one that its sender may send again, alone. */
function mayCombine({ id, lane }: Combinable): boolean {
  return id === undefined && lane.counter.contract?.combine !== false
}

function fit(a: Combinable, b: Combinable): boolean {
  return a.delta < 0 === b.delta < 0 && secondOf(a) === secondOf(b)
}

/** What every window is a multiple of, aligned to the epoch as they are. */
function secondOf({ at }: Combinable): number {
  return Math.floor(at / CONTRACT_LIMITS.windowSizeMsMin)
}

/** Equal for one series of a lane, and for nothing else: no key has U+0000. */
function nameOf({ key, dims }: Combinable): string {
  return dims === undefined ? key : `\0${JSON.stringify([...dims].flat())}${key}`
}
