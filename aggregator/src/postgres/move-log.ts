import type pg from 'pg'

export type LogMove = {
  schema: string
  partition: number
  token: string
  revision: number
  from: number
  to: number
  reason: string
}

/**
 * Moves a partition whose pages are all written to another offset, in one transaction. Forwards the
 * log has a hole, which readers notice. Backwards (a topic made again) offsets are used a second
 * time: the old commits go, their ids are carried over, and the pages count as folded to `to`.
 * The token goes with it, so that whatever the owner still writes of the log before is refused: who
 * moves has to claim again.
 * Gives false, and changes nothing, when the compare-and-set fails.
 */
export async function moveLog(client: pg.ClientBase, move: LogMove): Promise<boolean> {
  const { schema, partition, token, revision, from, to, reason } = move
  await client.query('begin')
  try {
    const { rowCount } = await client.query(
      `update ${schema}.partitions set next = $5, floor = $5,
         ids_floor = case when $5::bigint < $4::bigint then $5 else least(ids_floor, $5) end,
         token = gen_random_uuid(), revision = revision + 1, halted = null, halted_at = null,
         record_offset = null, record_hash = null
       where partition = $1 and token = $2 and revision = $3 and next = $4 and floor = next`,
      [partition, token, revision, from, to],
    )
    if (rowCount === 1) {
      if (to < from) await startOver(client, move)
      await client.query(
        `insert into ${schema}.gaps (partition, from_offset, to_offset, reason) values ($1, $2, $3, $4)`,
        [partition, from, to, reason],
      )
      await client.query(`delete from ${schema}.gap_decisions where partition = $1`, [partition])
    }
    await client.query(rowCount === 1 ? 'commit' : 'rollback')
    return rowCount === 1
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

async function startOver(client: pg.ClientBase, { schema, partition, to }: LogMove): Promise<void> {
  await client.query(
    `insert into ${schema}.carried_ids (partition, ids)
     select partition, ids from ${schema}.commits where partition = $1 and ids <> ''`,
    [partition],
  )
  // Which commits cold ids are of is said by offsets, which now mean others.
  for (const table of ['commits', 'window_deltas', 'cold_ids']) {
    await client.query(`delete from ${schema}.${table} where partition = $1`, [partition])
  }
  for (const table of ['total_pages_512', 'window_pages_512']) {
    await client.query(
      `update ${schema}.${table} set next = $2 where partition = $1 and next > $2`,
      [partition, to],
    )
  }
  // What was rejected keeps its coordinates in the old log, which nobody can look up any more.
  await client.query(`delete from ${schema}.rejects where partition = $1`, [partition])
  await client.query(
    `delete from ${schema}.partition_contracts c where partition = $1 and from_offset < (
       select max(from_offset) from ${schema}.partition_contracts where partition = $1)`,
    [partition],
  )
  await client.query(
    `update ${schema}.partition_contracts set from_offset = $2 where partition = $1`,
    [partition, to],
  )
}
