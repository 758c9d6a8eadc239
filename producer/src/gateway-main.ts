import { createLogger } from '@countersink/shared/log'
import { messageOf } from '@countersink/shared/errors'
import { createGateway } from './gateway.ts'
import { type GatewayConfig, readGatewayConfig } from './gateway-config.ts'

const config = configOrExit()
const logger = createLogger('gateway', config.LOG_LEVEL)
const gateway = createGateway(config, logger)

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

function configOrExit(): GatewayConfig {
  try {
    return readGatewayConfig()
  } catch (error) {
    process.stderr.write(`gateway: ${messageOf(error)}\n`)
    process.exit(2)
  }
}

function fail(message: string, error: unknown): never {
  logger.fatal({ err: error }, message)
  process.exit(1)
}
