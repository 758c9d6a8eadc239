import pg from 'pg'
import type { Logger } from '../log.ts'
import { sessionConfig } from './session.ts'

export type PoolOptions = {
  databaseUrl: string
  applicationName: string
  connectionsMax: number
  /** So many are kept open while idle; 0 unless it is said. */
  connectionsKept?: number
  /** A statement that takes longer is cancelled by the server. */
  statementTimeoutMs: number
  /** A transaction in which nothing happens for so long is ended by the server, its connection too. */
  idleInTransactionTimeoutMs?: number
  /** Settings of each session, `name=value`. */
  settings?: readonly string[]
  logger: Logger
}

/**
 * A bounded pool. A connection that breaks while idle is logged and replaced, never thrown.
 * bigint columns come as strings: whoever reads one says by Number() or BigInt() what it knows.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const session = sessionConfig(options.databaseUrl, {
    application_name: options.applicationName,
    statement_timeout: options.statementTimeoutMs,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    settings: options.settings,
  })
  const pool = new pg.Pool({
    ...session,
    max: options.connectionsMax,
    min: options.connectionsKept ?? 0,
    idleTimeoutMillis: 30_000,
  })
  pool.on('error', (error) => options.logger.warn({ err: error }, 'an idle connection broke'))
  // The pool listens to idle connections only: one that breaks between two queries of whoever has
  // checked it out would end the process.
  pool.on('connect', (client) => {
    client.on('error', (error) => options.logger.debug({ err: error }, 'a connection broke'))
  })
  return pool
}

/** SQLSTATE of a server's error, or the code of a socket's; undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The schema of a generation's tables. */
export function generationSchema(generation: number): string {
  return `countersink_${generation}`
}
