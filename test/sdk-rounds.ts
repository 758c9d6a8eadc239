import type { EventInput } from '@countersink/shared/event'

/** The counters of `eventsWithoutIds`. */
export const COUNTERS = ['views', 'likes'] as const

/** An event as it is known when the SDK has given it its id and time. */
export type Sent = EventInput & { id: string; at: number; delta: number }

/** What one of several producers sends in a round: two counters in turn, keys that all of them share. */
export function eventsWithoutIds(
  count: number,
  round: number,
  producer: number,
): (EventInput & { delta: number })[] {
  return Array.from({ length: count }, (_, i) => ({
    counter: COUNTERS[i % 2]!,
    key: `k${(i * 7 + round) % 50}`,
    delta: 1 + ((i + producer) % 5),
  }))
}
