import { findCounters } from '../postgres/counters-query.ts'
import type { Database } from '../postgres/database.ts'
import { findSeries } from '../postgres/series-query.ts'
import type { CounterInfo, World } from '../postgres/world.ts'
import type { SlotRef } from '../core/window-sums.ts'

/** A series as a request names it. `dims` is JSON of an object; '{}' is the total. */
export type SeriesName = { counter: string; key: string; dims: string }

export type FoundSeries = {
  info: CounterInfo
  slots: readonly SlotRef[]
  /** The counter's growth when this was known to be complete. */
  growth: number
}

/** The counters of these names, by name. A counter once seen stays; an unknown one is asked for each time. */
export async function resolveCounters(
  database: Database,
  world: World,
  names: Iterable<string>,
): Promise<Map<string, CounterInfo>> {
  const found = new Map<string, CounterInfo>()
  const missing: string[] = []
  for (const name of new Set(names)) {
    const known = world.counters.get(name)
    if (known === undefined) missing.push(name)
    else found.set(name, known)
  }
  if (missing.length === 0) return found
  for (const info of await findCounters(database, world.state.generation, missing)) {
    found.set(info.name, info)
    if (info.sizes.length > 0) world.counters.set(info.name, info)
  }
  return found
}

/**
 * Where the series are, in the order asked for; undefined for an unknown counter. Each is complete
 * at the tail's position of the moment of this call, and stays so while its counter's growth does.
 */
export async function resolveSeries(
  database: Database,
  world: World,
  names: readonly SeriesName[],
): Promise<(FoundSeries | undefined)[]> {
  const { state } = world
  const counters = await resolveCounters(
    database,
    world,
    names.map((name) => name.counter),
  )
  const found: (FoundSeries | undefined)[] = []
  const missing: { i: number; info: CounterInfo; growth: number }[] = []
  for (const [i, name] of names.entries()) {
    const info = counters.get(name.counter)
    if (info === undefined) continue
    const growth = state.growth(info.counter)
    const known = world.series.get(cacheKey(info.counter, name))
    if (known?.growth === growth) found[i] = { info, ...known }
    else missing.push({ i, info, growth })
  }
  if (missing.length > 0) {
    const asked = missing.map(({ i, info }) => ({ ...names[i]!, counter: info.counter }))
    const slots = await findSeries(database, state.generation, asked)
    for (const [j, { i, info, growth }] of missing.entries()) {
      const lookup = { slots: slots[j] ?? [], growth }
      found[i] = { info, ...lookup }
      world.series.set(cacheKey(info.counter, names[i]!), lookup)
    }
  }
  found.length = names.length
  return found
}

function cacheKey(counter: number, { key, dims }: SeriesName): string {
  return `${counter}\u0000${dims}\u0000${key}`
}
