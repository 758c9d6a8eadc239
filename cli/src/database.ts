import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { createLogger } from '@countersink/shared/log'
import { createPool, generationSchema, sqlState } from '@countersink/shared/postgres/pool'

const STATEMENT_MS_MAX = 10_000
const UNDEFINED_TABLE = '42P01'
const INVALID_SCHEMA = '3F000'

export type Row = Record<string, unknown>
export type Query = (text: string, values?: readonly unknown[]) => Promise<Row[]>

/**
 * One connection for the length of `use`. Throws POSTGRES_UNAVAILABLE (retryable) when nobody
 * answers, POSTGRES_REFUSED with the server's words otherwise.
 */
export async function withDatabase<T>(
  databaseUrl: string,
  use: (query: Query) => Promise<T>,
): Promise<T> {
  const pool = createPool({
    databaseUrl,
    applicationName: 'countersink-cli',
    connectionsMax: 1,
    statementTimeoutMs: STATEMENT_MS_MAX,
    logger: createLogger('cli', 'silent'),
  })
  const query: Query = async (text, values = []) => {
    try {
      const result = await pool.query<Row>(text, [...values])
      return result.rows
    } catch (error) {
      throw refined(error)
    }
  }
  try {
    return await use(query)
  } finally {
    await pool.end().catch(() => {})
  }
}

function refined(error: unknown): CountersinkError {
  const state = sqlState(error)
  if (state === UNDEFINED_TABLE || state === INVALID_SCHEMA) {
    return new CountersinkError(
      'POSTGRES_REFUSED',
      'this database holds no Countersink schema yet: the aggregator makes it when it first starts',
      { cause: error },
    )
  }
  // A SQLSTATE has five characters; sockets have words such as ECONNREFUSED.
  if (state?.length === 5 && !/^(?:08|57|53)/.test(state)) {
    return new CountersinkError('POSTGRES_REFUSED', `Postgres refuses: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const words = messageOf(error) || (state ?? 'no connection')
  return new CountersinkError('POSTGRES_UNAVAILABLE', `Postgres does not answer: ${words}`, {
    cause: error,
    retryable: true,
  })
}

/** The schema of the generation that is live. */
export async function liveSchema(query: Query): Promise<string> {
  const [row] = await query("select generation from countersink.generations where state = 'live'")
  if (row === undefined) {
    throw new CountersinkError('POSTGRES_REFUSED', 'no generation is live in this database')
  }
  return generationSchema(Number(row['generation']))
}
