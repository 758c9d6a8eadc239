import { keyMark } from '@countersink/shared/key-filter'
import type pg from 'pg'

const RUN_SERIES_MAX = 32_768

/** A block of a run as it is stored. */
type Block = {
  place: string
  first: number
  until: number
  from_key: string
  block: number
  keys: string[]
  slots: number[]
  dims: (Record<string, string> | null)[] | null
  filter: string[] | null
}

export type StoredName = { key: string; dims: Record<string, string> }

export type StoredRuns = {
  /** By `counter/partition` the names in the order of their slots. */
  names: Map<string, StoredName[]>
  /** What is not as the schema says: nothing, always. */
  flaws: string[]
  /** By `counter/partition` the sizes of the runs. */
  sizes: Map<string, number[]>
}

/**
 * All names of some counters, with every rule of the table checked in the plainest way. Runs have
 * filters, but those that a migration made.
 */
export async function readRuns(
  client: pg.ClientBase,
  schema: string,
  counters: readonly string[],
  { filtered } = { filtered: true },
): Promise<StoredRuns> {
  const { rows } = await client.query<Block>(
    `select c.name || '/' || r.partition as place, first, until, from_key, block, keys, slots, dims, filter
     from ${schema}.series_runs r join ${schema}.counters c using (counter)
     where c.name = any($1)
     order by place, first, block`,
    [counters],
  )
  const all: StoredRuns = { names: new Map(), flaws: [], sizes: new Map() }
  for (let i = 0; i < rows.length;) {
    const { place, first } = rows[i]!
    const run: Block[] = []
    while (rows[i]?.place === place && rows[i]?.first === first) run.push(rows[i++]!)
    addRun(all, run, filtered)
  }
  return all
}

function addRun(all: StoredRuns, run: readonly Block[], filtered: boolean): void {
  const { place, first, until } = run[0]!
  const names = all.names.get(place) ?? []
  const sizes = all.sizes.get(place) ?? []
  all.names.set(place, names)
  all.sizes.set(place, sizes)
  const flaw = (what: string): void => void all.flaws.push(`${place} ${first}: ${what}`)
  if (first !== names.length) flaw(`the run before ends at ${names.length}`)
  if (until - first > RUN_SERIES_MAX) flaw('too long')
  const found: (StoredName & { slot: number })[] = []
  for (const [i, block] of run.entries()) {
    if (block.block !== i || block.until !== until) flaw(`block ${block.block} in place ${i}`)
    if (block.from_key !== (i === 0 ? '' : block.keys[0])) flaw(`block ${i} from another key`)
    const hasFilter = filtered && i === 0
    if ((block.filter !== null) !== hasFilter) flaw(`block ${i} has a filter, or has none`)
    if (block.dims !== null && block.dims.length !== block.keys.length) flaw('lengths of arrays')
    for (const [j, key] of block.keys.entries()) {
      found.push({ key, dims: block.dims?.[j] ?? {}, slot: block.slots[j]! })
      if (filtered && !mayHave(run[0]!.filter, key)) flaw(`the filter denies ${key}`)
    }
  }
  const sorted = found.toSorted(
    (a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) || a.slot - b.slot,
  )
  if (sorted.some((one, i) => one !== found[i])) flaw('not sorted')
  found.sort((a, b) => a.slot - b.slot)
  if (found.some(({ slot }, i) => slot !== first + i)) flaw('not every slot once')
  if (found.length !== until - first) flaw(`${found.length} names`)
  names.push(...found.map(({ key, dims }) => ({ key, dims })))
  sizes.push(until - first)
}

function mayHave(filter: readonly string[] | null, key: string): boolean {
  const { hash, bits } = keyMark(key)
  return filter !== null && (BigInt(filter[hash % filter.length] ?? 0) & bits) === bits
}
