import type pg from 'pg'
import { LIMITS } from '../limits.ts'
import { WRITER_APPLICATION } from '../writer-connection.ts'

/**
 * Ends the sessions that hold rows of `partitions` in a transaction and have been waiting for their
 * client: it was stopped in the midst of sending a statement, which no time-out for idle
 * transactions covers. If it still lives its commit fails, and the compare-and-set decides what
 * becomes of it. Gives how many.
 */
export async function endFrozenWriters(client: pg.ClientBase, schema: string): Promise<number> {
  const { rowCount } = await client.query(
    `select pg_terminate_backend(a.pid) from pg_stat_activity a
     where a.datname = current_database() and a.usename = current_user
       and a.application_name = $1 and a.wait_event = 'ClientRead'
       and a.xact_start < clock_timestamp() - $2 * interval '1 ms'
       and exists (select from pg_locks l where l.pid = a.pid
         and l.relation = $3::regclass and l.mode = 'RowExclusiveLock')`,
    [WRITER_APPLICATION, LIMITS.claimWaitMsMax / 2, `${schema}.partitions`],
  )
  return rowCount ?? 0
}
