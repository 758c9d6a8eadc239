import { CountersinkError } from '@countersink/shared/errors'
import { createLogger, type Logger } from '@countersink/shared/log'
import { migrateWhenThere } from '@countersink/shared/postgres/migrate'
import { readConfig } from './config.ts'
import { createQueryService } from './service.ts'

async function main(): Promise<void> {
  const config = readConfig()
  const logger = createLogger('query-api', config.LOG_LEVEL)
  const stopping = stopSignal(logger)

  await migrateWhenThere(config.DATABASE_URL, logger, stopping)
  if (stopping.aborted) return

  const service = createQueryService(config, logger)
  const { port } = await service.start()
  logger.info({ host: config.HOST, port }, 'the query API listens')

  await aborted(stopping)
  await service.stop()
  logger.info('stopped')
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
  const isOurs = error instanceof CountersinkError
  process.stderr.write(`query-api: ${isOurs ? error.message : String(error)}\n`)
  process.exitCode = isOurs && error.code === 'CONFIG_INVALID' ? 2 : 1
}
