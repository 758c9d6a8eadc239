import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { Logger } from '@countersink/shared/log'
import { createPool, sqlState } from '@countersink/shared/postgres/pool'
import type { QueryResultRow } from 'pg'

export type Query = { name?: string; text: string; values: unknown[] }

/** Reads, each in one statement and so in one snapshot. */
export type Database = {
  ask<R extends QueryResultRow>(query: Query): Promise<R[]>
  waiting(): number
  stop(): Promise<void>
}

const CONNECTIONS_MAX = 8
/** Stay open, with the statements that they have planned. */
export const CONNECTIONS_KEPT = 4
const QUERIES_WAITING_MAX = 1_000
const STATEMENT_TIMEOUT_MS = 5_000
/**
 * Planning takes longer than most reads, compiling longer than any: a statement is planned once. That
 * may be while its tables are empty, or after they were analyzed so, and such a plan would read them
 * whole for ever (9.4 ms a poll after half a minute at 20,000 events/s, and growing, against 0.3): it
 * may only go by index.
 */
export const PLANS = [
  'jit=off',
  'plan_cache_mode=force_generic_plan',
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
]
/** Ours, for a server that does not even time out. */
const QUERY_TIMEOUT_MS = 6_000

export function createDatabase(databaseUrl: string, logger: Logger): Database {
  const pool = createPool({
    databaseUrl,
    applicationName: 'countersink-query-api',
    connectionsMax: CONNECTIONS_MAX,
    connectionsKept: CONNECTIONS_KEPT,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    settings: PLANS,
    logger,
  })
  let stopped: Promise<void> | undefined

  async function ask<R extends QueryResultRow>(query: Query): Promise<R[]> {
    if (pool.waitingCount >= QUERIES_WAITING_MAX) {
      throw new CountersinkError('LIMIT_REACHED', 'too many reads are waiting for Postgres', {
        retryable: true,
      })
    }
    try {
      const timed = { ...query, query_timeout: QUERY_TIMEOUT_MS }
      const { rows } = await pool.query<R>(timed)
      return rows
    } catch (error) {
      throw readError(error)
    }
  }

  return {
    ask,
    waiting: () => pool.waitingCount,
    stop() {
      stopped ??= pool.end()
      return stopped
    },
  }
}

/** Classes 08, 53, 57: connections, resources, interventions. 42P01 and 3F000: a dropped generation. */
const AWAY = /^(?:08|53|57|42P01$|3F000$)/
const SQL_STATE_CHARS = 5

/** A read's error as the caller should see it: what may pass is POSTGRES_UNAVAILABLE, retryable. */
export function readError(error: unknown): unknown {
  const state = sqlState(error)
  if (state?.length === SQL_STATE_CHARS && !AWAY.test(state)) return error
  return new CountersinkError('POSTGRES_UNAVAILABLE', `Postgres is away: ${messageOf(error)}`, {
    cause: error,
    retryable: true,
  })
}
