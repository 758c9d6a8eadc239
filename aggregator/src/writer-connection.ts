import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@countersink/shared/errors'
import type { Logger } from '@countersink/shared/log'
import { sessionConfig } from '@countersink/shared/postgres/session'
import pg from 'pg'
import { LIMITS } from './limits.ts'

/** By this name others find the connections that commit. */
export const WRITER_APPLICATION = 'countersink-aggregator-writer'

export type WriterConnection = {
  /** The connection, made again if it broke; waits for the database until the signal aborts. */
  get(signal: AbortSignal): Promise<pg.Client>
  /** Gives the connection up: what it was doing is unknown. */
  discard(): void
  isConnected(): boolean
  stop(): Promise<void>
}

/** The one connection that commits: nobody else can use it up, and it comes back by itself. */
export function createWriterConnection(databaseUrl: string, logger: Logger): WriterConnection {
  let client: pg.Client | undefined
  let socket: Socket | undefined
  let connecting: Promise<pg.Client> | undefined

  async function connect(): Promise<pg.Client> {
    const stream = new Socket()
    const session = sessionConfig(databaseUrl, {
      application_name: WRITER_APPLICATION,
      connectionTimeoutMillis: 5000,
      statement_timeout: LIMITS.statementMsMax,
      query_timeout: LIMITS.statementMsMax,
      idle_in_transaction_session_timeout: LIMITS.idleInTransactionMsMax,
      keepAlive: true,
    })
    // A commit's statements are sent in one flight.
    const made = new pg.Client({ ...session, stream: () => stream, pipeline: true })
    made.on('error', (error) => {
      // One that was given up already breaks because of that.
      if (client !== made) return
      logger.warn({ err: error }, 'the writing connection broke')
      client = undefined
    })
    await made.connect()
    socket = stream
    return made
  }

  async function untilConnected(signal: AbortSignal): Promise<pg.Client> {
    for (let delayMs: number = LIMITS.retryDelayMsMin; ;) {
      signal.throwIfAborted()
      try {
        client = await connect()
        return client
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'Postgres is away, trying again')
        await sleep(delayMs * (0.5 + Math.random()), undefined, { signal })
        delayMs = Math.min(delayMs * 2, LIMITS.retryDelayMsMax)
      }
    }
  }

  return {
    async get(signal) {
      if (client !== undefined) return client
      connecting ??= untilConnected(signal).finally(() => (connecting = undefined))
      return await connecting
    },
    discard() {
      client = undefined
      // end() would wait for the answers to what is under way, which may never come.
      socket?.destroy()
    },
    isConnected: () => client !== undefined,
    async stop() {
      const last = client
      client = undefined
      await last?.end().catch(() => {})
    },
  }
}
