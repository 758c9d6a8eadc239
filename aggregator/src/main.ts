import { flushCompileCache } from 'node:module'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { createLogger } from '@countersink/shared/log'
import { migrateWhenThere } from '@countersink/shared/postgres/migrate'
import { createAggregator } from './aggregator.ts'
import { type Config, readConfig } from './config.ts'

const config = readConfigOrExit()
const logger = createLogger('aggregator', config.logLevel)

await migrateWhenThere(config.databaseUrl, logger)
const aggregator = await createAggregator(config, logger, (error) => void end(error)).catch(fail)
const { port } = await aggregator.start()
logger.info({ port, topic: config.topic, node: process.version }, 'aggregator started')
// With NODE_COMPILE_CACHE, now: who is killed keeps nothing, and has to be back soonest.
flushCompileCache()

let ending = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(undefined))

/** Drains and exits: 0 when asked to, 1 when something cannot go on. */
async function end(error: CountersinkError | undefined): Promise<void> {
  if (ending) return
  ending = true
  if (error !== undefined) logger.fatal({ code: error.code }, error.message)
  await aggregator.stop()
  logger.info('aggregator stopped')
  process.exit(error === undefined ? 0 : 1)
}

function fail(error: unknown): never {
  logger.fatal({ err: error }, messageOf(error))
  process.exit(1)
}

function readConfigOrExit(): Config {
  try {
    return readConfig()
  } catch (error) {
    if (!(error instanceof CountersinkError)) throw error
    process.stderr.write(`aggregator: ${error.message}\n`)
    process.exit(2)
  }
}
