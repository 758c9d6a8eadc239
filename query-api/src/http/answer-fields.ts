import { formatPosition } from '@countersink/shared/position'
import { partitionOf, recordKey } from '@countersink/shared/routing'
import { freshness } from '../core/freshness.ts'
import type { LogEnds } from '../core/log-ends.ts'
import { formatTime } from '../core/window-range.ts'
import type { SlotRef } from '../core/window-sums.ts'
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
 * The partitions that a series' answer hangs on: those that have it, and the one to which its key
 * is routed, where an event may wait that is its first.
 */
export function partitionsAsked(
  world: World,
  ends: LogEnds,
  counter: string,
  key: string,
  slots: readonly SlotRef[],
): Set<number> {
  const count = Math.max(ends.partitions.length, partitionCount(world))
  const asked = new Set(slots.map(({ partition }) => partition))
  if (count > 0) asked.add(partitionOf(recordKey(counter, key), count))
  return asked
}

/** Every partition that is known to exist. */
export function allPartitions(world: World, ends: LogEnds): Set<number> {
  return new Set([...world.state.partitions, ...ends.partitions])
}

function partitionCount(world: World): number {
  let count = 0
  for (const partition of world.state.partitions) count = Math.max(count, partition + 1)
  return count
}
