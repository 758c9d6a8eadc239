import { type Environment, integer, parseConfig, sharedSettings } from '@countersink/shared/config'
import { z } from 'zod'

const schema = z.object({
  KAFKA_BROKERS: sharedSettings.KAFKA_BROKERS,
  COUNTERSINK_TOPIC: sharedSettings.COUNTERSINK_TOPIC,
  COUNTERSINK_CONTRACTS: sharedSettings.COUNTERSINK_CONTRACTS,
  HOST: sharedSettings.HOST,
  PORT: integer(0, 65_535, 8082),
  LOG_LEVEL: sharedSettings.LOG_LEVEL,
  DELIVERY_TIMEOUT_MS: integer(100, 600_000, 15_000),
  LINGER_MS: integer(0, 1_000, 5),
  EVENT_FORMAT: z.enum(['packed', 'json']).default('packed'),
  EVENTS_PER_REQUEST_MAX: integer(1, 100_000, 10_000),
  BODY_BYTES_MAX: integer(1024, 64 * 1024 * 1024, 8 * 1024 * 1024),
  BODY_BYTES_IN_FLIGHT_MAX: integer(1024, 4 * 1024 * 1024 * 1024, 64 * 1024 * 1024),
})

/** Settings of the gateway, by variable name. */
export type GatewayConfig = z.output<typeof schema>

/** Throws CONFIG_INVALID with every problem and its variable. */
export function parseGatewayConfig(environment: Environment): GatewayConfig {
  return parseConfig(schema, environment)
}

export function readGatewayConfig(): GatewayConfig {
  return parseGatewayConfig(process.env)
}
