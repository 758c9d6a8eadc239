import { createFifo } from './fifo.ts'

export type BufferBounds = {
  bufferBytesMax: number
  bufferEventsMax: number
  waitingEventsMax: number
}

/** Who asks for room: one event, or a bulk call, which fills what room there is by itself. */
export type Guest = {
  readonly bytes: number
  readonly events: number
  /** Takes as much room as it can use now; true when it wants no more. */
  readonly fill?: () => boolean
}

/**
 * What may be in the buffer at once, and who waits for room, first come, first served: nobody
 * overtakes one that waits, however small it is.
 */
export type BufferRoom<G extends Guest> = {
  readonly bytes: number
  readonly events: number
  readonly waiting: number
  /** How many more events may come in now. */
  readonly spareEvents: number
  /** Lets a guest in or makes it wait; false when too many wait already. */
  enter: (guest: G) => boolean
  /** Room for what comes in by `fill`. */
  take: (bytes: number, events: number) => void
  /** Gives room back, and lets in who fits now. */
  release: (bytes: number, events: number) => void
  /** Lets in who fits now. */
  letIn: () => void
  /** Takes out one that waits. */
  abandon: (guest: G) => void
  /** The one that waits longest. */
  head: () => G | undefined
  /** Lets nobody in any more, and gives all that waited. */
  close: () => G[]
  /** Resolves when an event would be let in at once. */
  free: () => Promise<void>
}

/** `admit` is called for each single event in the moment it is let in. */
export function createBufferRoom<G extends Guest>(
  bounds: BufferBounds,
  admit: (guest: G) => void,
): BufferRoom<G> {
  const waiting = createFifo<G>()
  let bytes = 0
  let events = 0
  let isEntering = false
  let freed: PromiseWithResolvers<void> | undefined

  function hasSpace(): boolean {
    return events < bounds.bufferEventsMax && bytes < bounds.bufferBytesMax
  }

  function fits(guest: G): boolean {
    if (guest.fill !== undefined) return hasSpace()
    return (
      events < bounds.bufferEventsMax &&
      (events === 0 || bytes + guest.bytes <= bounds.bufferBytesMax)
    )
  }

  /** True when the guest is in, and wants no more. */
  function enterNow(guest: G): boolean {
    if (!fits(guest)) return false
    if (guest.fill !== undefined) return guest.fill()
    bytes += guest.bytes
    events += guest.events
    admit(guest)
    return true
  }

  function letIn(): void {
    // What is let in may settle at once and give its room back: one loop is enough for all of it.
    if (isEntering) return
    isEntering = true
    for (let next = waiting.peek(); next !== undefined; next = waiting.peek()) {
      if (!enterNow(next)) break
      if (waiting.peek() === next) waiting.shift()
    }
    isEntering = false
    if (freed !== undefined && isFree()) {
      freed.resolve()
      freed = undefined
    }
  }

  function isFree(): boolean {
    return waiting.length === 0 && hasSpace()
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
    get spareEvents() {
      return bytes < bounds.bufferBytesMax ? Math.max(0, bounds.bufferEventsMax - events) : 0
    },
    enter(guest) {
      // The usual case, without the queue.
      if (waiting.length === 0 && guest.fill === undefined && enterNow(guest)) return true
      if (waiting.length >= bounds.waitingEventsMax) return false
      waiting.push(guest)
      letIn()
      return true
    },
    take(moreBytes, moreEvents) {
      bytes += moreBytes
      events += moreEvents
    },
    release(lessBytes, lessEvents) {
      bytes -= lessBytes
      events -= lessEvents
      letIn()
    },
    letIn,
    abandon(guest) {
      waiting.remove(guest)
      letIn()
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
