import { type RoutingTable, waysOf } from '@countersink/shared/routing-table'
import { type HotKeyOptions, HotKeys, waysWanted } from './core/routing/hot-keys.ts'
import type { PartitionState } from './core/partition-state.ts'
import type { RoutingWish } from './core/routing/routing-plan.ts'
import { parseSeriesName } from './core/series/series-dictionary.ts'
import type { Ownership } from './ownership.ts'

type Watched = { keys: HotKeys; sinceMs: number; wished: RoutingWish['hot'] }

export type HotKeyWatchOptions = HotKeyOptions & {
  ownership: Pick<Ownership, 'loaded'>
  /** How long a window of looking lasts. */
  windowMs: number
}

/**
 * Looks at what the samplers of our partitions saw, window by window. A partition that is lost is
 * forgotten: its next owner looks for itself.
 */
export function createHotKeyWatch(options: HotKeyWatchOptions): {
  /** Hot keys for which `table` has not enough ways, with those that they should have. */
  wished(table: RoutingTable): RoutingWish['hot']
} {
  const { ownership, windowMs } = options
  let watched = new Map<PartitionState, Watched>()

  function wishedOf(state: PartitionState, table: RoutingTable, nowMs: number): Watched {
    const known = watched.get(state)
    if (known === undefined) {
      state.sampler.drain()
      return { keys: new HotKeys(options), sinceMs: nowMs, wished: [] }
    }
    if (nowMs - known.sinceMs < windowMs) return known
    const hot = known.keys.take(state.sampler.drain(), nowMs - known.sinceMs)
    const wished = hot.flatMap(({ counter: ordinal, slot, share }) => {
      const counter = state.counters.list[ordinal]!
      const { key } = parseSeriesName(counter.dictionary.name(slot))
      const last = table.versions.at(-1)
      if (last === undefined) return []
      const ways = waysOf(last, counter.name, key)
      // One that is spread already is measured when the events that count are from after the change.
      if (ways > 1 && counter.clock < last.effectiveAt + windowMs) return []
      return [{ counter: counter.name, key, ways: waysWanted(share, options.shareMin, ways) }]
    })
    return { keys: known.keys, sinceMs: nowMs, wished }
  }

  return {
    wished(table) {
      const nowMs = performance.now()
      const states = ownership.loaded().flatMap(({ state }) => (state === undefined ? [] : [state]))
      watched = new Map(states.map((state) => [state, wishedOf(state, table, nowMs)]))
      return [...watched.values()].flatMap(({ wished }) => wished)
    },
  }
}
