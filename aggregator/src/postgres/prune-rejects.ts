import type pg from 'pg'
import type { PartitionState } from '../core/partition-state.ts'
import type { CommitPart } from './commit.ts'

/** The most that are kept of one partition at any moment. */
export const REJECTS_PER_PARTITION_MAX = 10_000
/** So many more are let in before the oldest go: finding them means walking over all of them. */
const PRUNE_EVERY = 1000

/** How many were written since the oldest went. Of a partition just loaded it is not known. */
const sincePruned = new WeakMap<PartitionState, number>()

/** Keeps the newest rejects of each partition, behind those that this commit brings. */
export function pruneRejects(schema: string, parts: readonly CommitPart[]): pg.QueryConfig[] {
  const full = parts.filter(({ sealed }) => isDue(sealed.state, sealed.rejects.length))
  if (full.length === 0) return []
  const text = `delete from ${schema}.rejects r
    using unnest($1::int[]) u (partition) cross join lateral (
      select "offset" from ${schema}.rejects o where o.partition = u.partition
      order by "offset" desc, index desc offset $2 limit 1) newest_to_go
    where r.partition = u.partition and r."offset" <= newest_to_go."offset"`
  const partitions = full.map(({ sealed }) => sealed.state.partition)
  return [{ text, values: [partitions, REJECTS_PER_PARTITION_MAX - PRUNE_EVERY] }]
}

function isDue(state: PartitionState, count: number): boolean {
  if (count === 0) return false
  const since = (sincePruned.get(state) ?? PRUNE_EVERY) + count
  sincePruned.set(state, since > PRUNE_EVERY ? 0 : since)
  return since > PRUNE_EVERY
}
