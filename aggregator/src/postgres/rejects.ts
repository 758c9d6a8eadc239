import type pg from 'pg'
import type { PartitionState } from '../core/partition-state.ts'
import type { CommitPart } from './commit.ts'

/** The most that are kept of one partition at any moment. */
export const REJECTS_PER_PARTITION_MAX = 10_000
/** So many more are let in before the oldest go: finding them means counting all of them. */
const PRUNE_EVERY = 1000

/** How many were written since the oldest went. A partition just loaded may be full. */
const sincePruned = new WeakMap<PartitionState, number>()

/** Keeps the commit's sample of what was not counted, the newest of each partition within the bound. */
export async function saveRejects(
  client: pg.ClientBase,
  schema: string,
  parts: readonly CommitPart[],
): Promise<void> {
  const rejects = parts.flatMap(({ sealed }) =>
    sealed.rejects.map((reject) => ({ partition: sealed.state.partition, ...reject })),
  )
  if (rejects.length === 0) return
  await client.query(
    `insert into ${schema}.rejects (partition, "offset", index, outcome, reason, value)
     select * from unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::text[], $6::bytea[])
     on conflict do nothing`,
    [
      rejects.map(({ partition }) => partition),
      rejects.map(({ offset }) => offset),
      rejects.map(({ index }) => index),
      rejects.map(({ outcome }) => outcome),
      rejects.map(({ reason }) => reason),
      rejects.map(({ value }) => value),
    ],
  )
  const full = parts.filter(({ sealed }) => isDue(sealed.state, sealed.rejects.length))
  if (full.length > 0) await prune(client, schema, full)
}

function isDue(state: PartitionState, count: number): boolean {
  if (count === 0) return false
  const since = (sincePruned.get(state) ?? PRUNE_EVERY) + count
  sincePruned.set(state, since > PRUNE_EVERY ? 0 : since)
  return since > PRUNE_EVERY
}

async function prune(
  client: pg.ClientBase,
  schema: string,
  parts: readonly CommitPart[],
): Promise<void> {
  await client.query(
    `delete from ${schema}.rejects r
     using unnest($1::int[]) u (partition)
     cross join lateral (
       select "offset" from ${schema}.rejects o where o.partition = u.partition
       order by "offset" desc, index desc offset $2 limit 1) last
     where r.partition = u.partition and r."offset" <= last."offset"`,
    [
      parts.map(({ sealed }) => sealed.state.partition),
      REJECTS_PER_PARTITION_MAX - PRUNE_EVERY,
    ],
  )
}
