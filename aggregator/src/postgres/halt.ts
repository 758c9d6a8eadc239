import type pg from 'pg'

/** Writes down why a partition stands still. Does nothing if it is no longer ours. */
export async function saveHalt(
  pool: pg.Pool,
  schema: string,
  partition: number,
  token: string,
  reason: string,
): Promise<void> {
  await pool.query(
    `update ${schema}.partitions set halted = $3, halted_at = now()
     where partition = $1 and token = $2`,
    [partition, token, reason],
  )
}
