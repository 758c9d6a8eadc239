import { findCounters } from '../postgres/counters-query.ts'
import type { Database } from '../postgres/database.ts'
import { findSeries } from '../postgres/series-query.ts'
import type { CounterInfo, World } from '../postgres/world.ts'
import type { SeriesLookup } from '../core/series-lookups.ts'

/** A series as a request names it. `dims` is JSON of an object; '{}' is the total. */
export type SeriesName = { counter: string; key: string; dims: string }

export type FoundSeries = { info: CounterInfo; lookup: SeriesLookup }

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
 * at the tail's position as long as its look-up is attended.
 */
export async function resolveSeries(
  database: Database,
  world: World,
  names: readonly SeriesName[],
): Promise<(FoundSeries | undefined)[]> {
  const counters = await resolveCounters(
    database,
    world,
    names.map((name) => name.counter),
  )
  const series = names.map(({ counter, key, dims }) => {
    const info = counters.get(counter)
    if (info === undefined) return undefined
    return { info, lookup: world.series.begin({ counter: info.counter, key, dims }) }
  })
  const missing = new Set<SeriesLookup>()
  for (const one of series) if (one?.lookup.found === false) missing.add(one.lookup)
  if (missing.size === 0) return series
  const lookups = [...missing]
  const asked = lookups.map((lookup) => lookup.series)
  const slots = await findSeries(database, world.state.generation, asked)
  for (const [i, lookup] of lookups.entries()) world.series.complete(lookup, slots[i] ?? [])
  return series
}

export function areAttended(series: readonly (FoundSeries | undefined)[]): boolean {
  return series.every((one) => one === undefined || one.lookup.attended)
}
