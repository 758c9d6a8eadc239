import { formatPosition } from '@countersink/shared/position'
import { freshness } from '../core/freshness.ts'
import type { LogEnds } from '../core/log-ends.ts'
import { formatTime } from '../core/window-range.ts'
import type { SlotRef } from '../core/window-sums.ts'
import type { RoutingWatch } from '../kafka/routing-watch.ts'
import type { World } from '../postgres/world.ts'

/** What every answer says of how fresh it is. */
export type FreshnessFields = { asOf: string | null; lagMs: number | null; position: string }

export function freshnessFields(
  world: World,
  ends: LogEnds,
  counter: number | undefined,
  partitions: Iterable<number>,
  position: ReadonlyMap<number, number>,
  now: number,
): FreshnessFields {
  const { asOf, lagMs } = freshness(world.state, ends, counter, partitions, now)
  return {
    asOf: asOf === undefined ? null : formatTime(asOf),
    lagMs: lagMs ?? null,
    position: formatPosition({
      topic: world.topic,
      generation: world.state.generation,
      next: position,
    }),
  }
}

/**
 * The partitions that a series' answer hangs on: those that have it, and those to which its key is
 * routed, where an event may wait that is its first. While nobody knows which these are, that may be
 * any; unless the log's end is not known either, and nothing can be said of what waits.
 */
export function partitionsAsked(
  world: World,
  ends: LogEnds,
  routing: RoutingWatch,
  counter: string,
  key: string,
  slots: readonly SlotRef[],
): Set<number> {
  const asked = new Set(
    routing.partitionsOf(counter, key) ??
      (ends.isFresh(Date.now()) ? allPartitions(world, ends) : []),
  )
  for (const { partition } of slots) asked.add(partition)
  return asked
}

/** Every partition that is known to exist. */
export function allPartitions(world: World, ends: LogEnds): Set<number> {
  return new Set([...world.state.partitions, ...ends.partitions])
}
