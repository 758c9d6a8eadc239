import { type Environment, integer, parseConfig, sharedSettings } from '@countersink/shared/config'
import { z } from 'zod'

const schema = z.object({
  ...sharedSettings,
  PORT: integer(0, 65_535, 0),
  COUNTERSINK_GROUP: z.string().default('countersink'),
  COUNTERSINK_SESSION_TIMEOUT_MS: integer(1000, 300_000, 6000),
  COUNTERSINK_REBALANCE_TIMEOUT_MS: integer(1000, 300_000, 10_000),
  COUNTERSINK_COMMIT_INTERVAL_MS: integer(1, 10_000, 10),
  COUNTERSINK_FETCH_BYTES_PER_PARTITION: integer(64 * 1024, 16 * 1024 * 1024, 512 * 1024),
})

export type Config = {
  brokers: string[]
  databaseUrl: string
  topic: string
  contractsPath: string | undefined
  groupId: string
  host: string
  port: number
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  commitIntervalMs: number
  fetchBytesPerPartition: number
  logLevel: string
}

/** The aggregator's settings. Throws CONFIG_INVALID with every problem at once. */
export function readConfig(environment: Environment = process.env): Config {
  const raw = parseConfig(schema, environment)
  return {
    brokers: raw.KAFKA_BROKERS,
    databaseUrl: raw.DATABASE_URL,
    topic: raw.COUNTERSINK_TOPIC,
    contractsPath: raw.COUNTERSINK_CONTRACTS,
    groupId: raw.COUNTERSINK_GROUP,
    host: raw.HOST,
    port: raw.PORT,
    sessionTimeoutMs: raw.COUNTERSINK_SESSION_TIMEOUT_MS,
    rebalanceTimeoutMs: raw.COUNTERSINK_REBALANCE_TIMEOUT_MS,
    commitIntervalMs: raw.COUNTERSINK_COMMIT_INTERVAL_MS,
    fetchBytesPerPartition: raw.COUNTERSINK_FETCH_BYTES_PER_PARTITION,
    logLevel: raw.LOG_LEVEL,
  }
}
