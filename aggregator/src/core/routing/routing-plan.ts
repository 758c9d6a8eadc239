import type { Contracts } from '@countersink/shared/contracts'
import {
  earliestEffectiveAt,
  ROUTING_LIMITS,
  type RoutingRecord,
  type RoutingTable,
  type RoutingTimes,
  type Spread,
  waysOf,
} from '@countersink/shared/routing-table'

export type RoutingWish = {
  /** How many partitions the topic has. */
  partitions: number
  contracts: Pick<Contracts, 'counters'>
  /** Keys that were found hot, with the ways that they should have. */
  hot: readonly Required<Spread>[]
  times: RoutingTimes
  /** The broker's time at which it will be appended at the latest, epoch milliseconds. */
  appendedByMs: number
}

export type RoutingPlan = Omit<RoutingRecord, 'format' | 'by'> & { why: string }

/**
 * The version that should follow, or undefined when all is as it should be. The first is the topic
 * as it is. Spreads only ever widen, and partitions only grow: nothing that is asked for a second
 * time changes anything, so several may plan at once.
 */
export function planRouting(table: RoutingTable, wish: RoutingWish): RoutingPlan | undefined {
  const last = table.versions.at(-1)
  const { topicId } = table
  if (last === undefined) {
    const { partitions, times } = wish
    return { topicId, version: 1, effectiveAt: 0, partitions, spreads: [], ...times, why: 'first' }
  }
  if (last.version >= ROUTING_LIMITS.versionsMax || table.knownUntil !== Infinity) return undefined
  const partitions = Math.max(last.partitions, wish.partitions)
  const reasons: string[] = []
  if (partitions > last.partitions) reasons.push(`the topic has ${partitions} partitions now`)
  const spreads = [...last.spreads]
  for (const { spread, why } of wishedSpreads(wish)) {
    const ways = Math.min(spread.ways, partitions)
    const already = spreads.findIndex(
      ({ counter, key }) => counter === spread.counter && key === spread.key,
    )
    if (ways <= 1 || (spreads[already]?.ways ?? 1) >= ways) continue
    if (spread.key !== undefined && waysOf(last, spread.counter, spread.key) >= ways) continue
    if (already >= 0) spreads[already] = { ...spread, ways }
    else if (spreads.length < ROUTING_LIMITS.spreadsMax) spreads.push({ ...spread, ways })
    else continue
    reasons.push(why)
  }
  if (reasons.length === 0) return undefined
  return {
    topicId,
    version: last.version + 1,
    effectiveAt: earliestEffectiveAt(table, wish.appendedByMs),
    partitions,
    spreads,
    ...wish.times,
    why: reasons.join('; '),
  }
}

function wishedSpreads({ contracts, hot }: RoutingWish): { spread: Spread; why: string }[] {
  const byContract = [...contracts.counters].map(([counter, { spread }]) => ({
    spread: { counter, ways: spread ?? 1 },
    why: 'spread by contract',
  }))
  const found = hot.map((spread) => ({ spread, why: 'hot keys' }))
  return [...byContract, ...found]
}
