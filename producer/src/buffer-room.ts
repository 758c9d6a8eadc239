import { createFifo } from './fifo.ts'
import type { PendingEvent } from './pending-event.ts'

export type BufferBounds = {
  bufferBytesMax: number
  bufferEventsMax: number
  waitingEventsMax: number
}

/**
 * What may be in the buffer at once, and who waits for room, first come, first served: an event
 * never overtakes one that waits, however small it is.
 */
export type BufferRoom = {
  readonly bytes: number
  readonly events: number
  readonly waiting: number
  /** Lets an event in or makes it wait; false when too many wait already. */
  enter: (pending: PendingEvent) => boolean
  /** Gives back the room of an event that was let in, and lets in who fits now. */
  release: (pending: PendingEvent) => void
  /** Takes out one that waits. */
  abandon: (pending: PendingEvent) => void
  /** The one that waits longest. */
  head: () => PendingEvent | undefined
  /** Lets nobody in any more, and gives all that waited. */
  close: () => PendingEvent[]
  /** Resolves when an event would be let in at once. */
  free: () => Promise<void>
}

/** `admit` is called for each event in the moment it is let in. */
export function createBufferRoom(
  bounds: BufferBounds,
  admit: (pending: PendingEvent) => void,
): BufferRoom {
  const waiting = createFifo<PendingEvent>()
  let bytes = 0
  let events = 0
  let freed: PromiseWithResolvers<void> | undefined

  function fits(pending: PendingEvent): boolean {
    return (
      events < bounds.bufferEventsMax &&
      (events === 0 || bytes + pending.bytes <= bounds.bufferBytesMax)
    )
  }

  function letIn(pending: PendingEvent): void {
    bytes += pending.bytes
    events++
    admit(pending)
  }

  function letInWaiting(): void {
    for (let next = waiting.peek(); next !== undefined && fits(next); next = waiting.peek()) {
      waiting.shift()
      letIn(next)
    }
    if (freed !== undefined && isFree()) {
      freed.resolve()
      freed = undefined
    }
  }

  function isFree(): boolean {
    return waiting.length === 0 && events < bounds.bufferEventsMax && bytes < bounds.bufferBytesMax
  }

  return {
    get bytes() {
      return bytes
    },
    get events() {
      return events
    },
    get waiting() {
      return waiting.length
    },
    enter(pending) {
      if (waiting.length === 0 && fits(pending)) letIn(pending)
      else if (waiting.length >= bounds.waitingEventsMax) return false
      else waiting.push(pending)
      return true
    },
    release(pending) {
      bytes -= pending.bytes
      events--
      letInWaiting()
    },
    abandon(pending) {
      waiting.remove(pending)
      letInWaiting()
    },
    head: () => waiting.peek(),
    close() {
      const all = waiting.items()
      waiting.clear()
      freed?.resolve()
      return all
    },
    free() {
      if (isFree()) return Promise.resolve()
      freed ??= Promise.withResolvers<void>()
      return freed.promise
    },
  }
}
