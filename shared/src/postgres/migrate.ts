import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { CountersinkError, messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'

const MIGRATIONS = fileURLToPath(new URL('migrations', import.meta.url))
/** One number for everybody who migrates: the second waits until the first is done, and finds it done. */
const ADVISORY_LOCK = 7_263_481

/**
 * Brings a database to this version: numbered SQL files, all in one transaction, under an advisory
 * lock, so that any number of services may start at once and a crash leaves nothing half made.
 * Throws POSTGRES_UNAVAILABLE (retryable) when nobody answers, MIGRATION_FAILED otherwise.
 */
export async function migrate(databaseUrl: string, logger: Logger): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 })
  client.on('error', (error) => logger.warn({ err: error }, 'connection lost while migrating'))
  try {
    await client.connect()
  } catch (error) {
    throw new CountersinkError('POSTGRES_UNAVAILABLE', `Postgres is away: ${messageOf(error)}`, {
      cause: error,
      retryable: true,
    })
  }
  try {
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK])
    await runner({
      dbClient: client,
      dir: MIGRATIONS,
      direction: 'up',
      migrationsTable: 'countersink_migrations',
      noLock: true,
      singleTransaction: true,
      log: () => {},
    })
  } catch (error) {
    throw new CountersinkError('MIGRATION_FAILED', `the migration failed: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    // Ending the session gives the lock back, also after an error.
    await client.end().catch(() => {})
  }
}

const RETRY_DELAY_MS_MIN = 100
const RETRY_DELAY_MS_MAX = 2000

/**
 * migrate(), waiting for a database that is not there yet for as long as it takes, or until the
 * signal aborts; anything else that is wrong with it throws.
 */
export async function migrateWhenThere(
  databaseUrl: string,
  logger: Logger,
  signal?: AbortSignal,
): Promise<void> {
  for (let delayMs = RETRY_DELAY_MS_MIN; signal?.aborted !== true;) {
    try {
      await migrate(databaseUrl, logger)
      return
    } catch (error) {
      if (!(error instanceof CountersinkError) || !error.retryable) throw error
      logger.warn({ reason: error.message }, 'waiting for the database')
      await sleep(delayMs, undefined, signal && { signal }).catch(() => {})
      delayMs = Math.min(delayMs * 2, RETRY_DELAY_MS_MAX)
    }
  }
}
