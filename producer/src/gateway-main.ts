import { createLogger } from '@countersink/shared/log'
import { messageOf } from '@countersink/shared/errors'
import { createGateway } from './gateway.ts'
import { readGatewayConfig } from './gateway-config.ts'

const config = orExit(readGatewayConfig)
const logger = createLogger('gateway', config.LOG_LEVEL)
const gateway = orExit(() => createGateway(config, logger))

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    logger.info({ signal }, 'stopping')
    gateway.stop().then(
      () => process.exit(0),
      (error: unknown) => fail('the gateway did not stop cleanly', error),
    )
  })
}

try {
  const { port } = await gateway.start()
  logger.info({ host: config.HOST, port, topic: config.COUNTERSINK_TOPIC }, 'gateway listens')
} catch (error) {
  fail('the gateway cannot start', error)
}

/** Settings and contracts are wrong here or never. */
function orExit<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    process.stderr.write(`gateway: ${messageOf(error)}\n`)
    process.exit(2)
  }
}

function fail(message: string, error: unknown): never {
  logger.fatal({ err: error }, message)
  process.exit(1)
}
