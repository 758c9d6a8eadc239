import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import { createLogger, type Logger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'
import { readConfig, type Config } from './config.ts'
import { createQueryService } from './service.ts'

const MIGRATE_RETRY_MS = 500

async function main(): Promise<void> {
  const config = readConfig()
  const logger = createLogger('query-api', config.LOG_LEVEL)
  const stopping = stopSignal(logger)

  await migrateWhenThere(config, logger, stopping)
  if (stopping.aborted) return

  const service = createQueryService(config, logger)
  const { port } = await service.start()
  logger.info({ host: config.HOST, port }, 'the query API listens')

  await aborted(stopping)
  await service.stop()
  logger.info('stopped')
}

/** Waits as long as it takes for Postgres to be there; anything else that is wrong with it throws. */
async function migrateWhenThere(
  config: Config,
  logger: Logger,
  stopping: AbortSignal,
): Promise<void> {
  while (!stopping.aborted) {
    try {
      return await migrate(config.DATABASE_URL, logger)
    } catch (error) {
      if (!(error instanceof CountersinkError) || !error.retryable) throw error
      logger.warn({ err: error }, 'waiting for Postgres')
      await sleep(MIGRATE_RETRY_MS, undefined, { signal: stopping }).catch(() => {})
    }
  }
}

function stopSignal(logger: Logger): AbortSignal {
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      logger.info({ signal }, 'stopping')
      stopping.abort()
    })
  }
  return stopping.signal
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

try {
  await main()
} catch (error) {
  // Without settings there may be no logger to say it.
  process.stderr.write(`${error instanceof CountersinkError ? error.message : String(error)}\n`)
  process.exitCode = 1
}
