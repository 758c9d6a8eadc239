import type { EventIntake } from './event-intake.ts'
import type { PendingEvent } from './pending-event.ts'

/** The size that every window is a multiple of, aligned to the epoch as they are. */
const SECOND_MS = 1000
/** What a combined event may sum up to where no contract says what a delta may be. */
const DELTA_MAX_DEFAULT = 1000

/** Puts calls for one series and second together while their event has not left. */
export type Combiner = {
  /** The event that the call's has become part of; undefined when it has to be one of its own. */
  join: (intake: EventIntake, nowMs: number) => PendingEvent | undefined
  /** Others may join it from now on. */
  offer: (pending: PendingEvent, nowMs: number) => void
  /** It does not change any more. */
  leave: (pending: PendingEvent) => void
}

/**
 * Deltas of one sign only: views and their corrections stay apart, and no sum comes out as 0 where
 * something happened. `ageMsMax` bounds how much earlier than its own a call's deadline may be.
 */
export function createCombiner(ageMsMax: number): Combiner {
  const open = new Map<string, { pending: PendingEvent; untilMs: number }>()

  return {
    join(intake, nowMs) {
      if (!mayCombine(intake)) return undefined
      const found = open.get(keyOf(intake))
      if (found === undefined || found.untilMs < nowMs) return undefined
      const { pending } = found
      const delta = pending.delta + intake.delta
      const deltaMax = intake.lane.counter.contract?.deltaMax ?? DELTA_MAX_DEFAULT
      if (Math.abs(delta) > Math.min(deltaMax, Number.MAX_SAFE_INTEGER)) return undefined
      pending.delta = delta
      pending.at = Math.min(pending.at, intake.at)
      return pending
    },
    offer(pending, nowMs) {
      if (!mayCombine(pending)) return
      pending.combineKey = keyOf(pending)
      open.set(pending.combineKey, { pending, untilMs: nowMs + ageMsMax })
    },
    leave(pending) {
      const { combineKey } = pending
      if (combineKey === undefined || open.get(combineKey)?.pending !== pending) return
      open.delete(combineKey)
    },
  }
}

type Combinable = Pick<EventIntake, 'lane' | 'id' | 'key' | 'dims' | 'at' | 'delta'>

/** An event with an id of its own is one that its sender may send again, alone. */
function mayCombine({ id, lane }: Combinable): boolean {
  return id === undefined && lane.counter.contract?.combine !== false
}

/** Equal for what may become one event, and for nothing else. */
function keyOf({ lane, at, delta, key, dims }: Combinable): string {
  const second = Math.floor(at / SECOND_MS)
  const start = `${lane.serial}${delta < 0 ? '-' : '+'}${second}`
  return dims === undefined
    ? `${start} ${key}`
    : `${start};${JSON.stringify([...dims].flat())}${key}`
}
