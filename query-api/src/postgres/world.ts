import { LRUCache } from 'lru-cache'
import type { Contracts } from '@countersink/shared/contracts'
import { SeriesLookups } from '../core/series-lookups.ts'
import { TailState } from '../core/tail-state.ts'
import { TotalPages } from '../core/total-pages.ts'
import type { Loaded } from './load-query.ts'

export type CounterInfo = {
  counter: number
  name: string
  /** Kept window sizes in milliseconds, finest first. */
  sizes: readonly number[]
}

/** All that is known of one generation since it was loaded; thrown away whole at any doubt. */
export type World = {
  state: TailState
  pages: TotalPages
  series: SeriesLookups
  counters: LRUCache<string, CounterInfo>
  contracts: { at: number; inForce: readonly Contracts[] } | undefined
  topic: string
  secret: Buffer
}

export type WorldLimits = {
  tailEntriesMax: number
  pageCacheBytesMax: number
  seriesCacheBytesMax: number
}

const COUNTERS_CACHED_MAX = 10_000
const PRUNE_ENTRIES_MIN = 4_096

export function createWorld(loaded: Loaded, topic: string, limits: WorldLimits): World {
  const pages = new TotalPages(limits.pageCacheBytesMax)
  const state = new TailState(
    loaded.generation,
    loaded.partitions,
    { entriesMax: limits.tailEntriesMax, pruneEntriesMin: PRUNE_ENTRIES_MIN },
    (partition, counter, slot, first, delta) =>
      pages.absorb(partition, counter, slot, first, delta),
  )
  pages.attend(state)
  return {
    state,
    pages,
    series: new SeriesLookups(limits.seriesCacheBytesMax),
    counters: new LRUCache<string, CounterInfo>({ max: COUNTERS_CACHED_MAX }),
    contracts: undefined,
    topic: loaded.topic ?? topic,
    secret: loaded.secret,
  }
}
