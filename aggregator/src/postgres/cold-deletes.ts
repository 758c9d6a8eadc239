import type pg from 'pg'
import type { PartitionState } from '../core/partition-state.ts'
import { int4s, int8s } from './binary-arrays.ts'
import type { CounterIds } from './counter-ids.ts'

/**
 * Deletes the stored ids of buckets that are forgotten, as far as the committed clocks say so too: a
 * successor begins with those.
 */
export async function deleteExpired(
  pool: Pick<pg.ClientBase, 'query'>,
  schema: string,
  counterIds: CounterIds,
  { partition, token, state }: { partition: number; token: string; state: PartitionState },
): Promise<void> {
  const { cold } = state.ids.hashed
  const { list } = state.counters
  const expired = [...cold.expired]
  if (expired.length === 0) return
  const { rows } = await pool.query<{ i: string }>(
    `with late as (
       select u.i, u.counter, u.bucket_end
       from unnest($3::int4[], $4::int8[], $5::int8[]) with ordinality
         u (counter, bucket_end, lateness, i)
       join ${schema}.partition_counters c on c.partition = $1 and c.counter = u.counter
       join ${schema}.partitions p on p.partition = $1 and p.token = $2
       where u.bucket_end <= c.clock - u.lateness),
     deleted as (
       delete from ${schema}.cold_ids c using late
       where c.partition = $1 and c.counter = late.counter and c.bucket_end = late.bucket_end)
     select i from late`,
    [
      partition,
      token,
      int4s(expired.map(({ counter }) => counterIds.of(list[counter]!.name))),
      int8s(expired.map(({ end }) => end)),
      int8s(expired.map(({ counter }) => list[counter]!.latenessMs)),
    ],
  )
  for (const { i } of rows) cold.expired.delete(expired[Number(i) - 1]!)
}
