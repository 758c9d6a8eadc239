import { type Environment, integer, parseConfig, sharedSettings } from '@countersink/shared/config'
import { ROUTING_TIMES, type RoutingTimes } from '@countersink/shared/routing-table'
import { z } from 'zod'
import type { HotKeyOptions } from './core/routing/hot-keys.ts'

const schema = z.object({
  ...sharedSettings,
  PORT: integer(0, 65_535, 0),
  COUNTERSINK_GROUP: z.string().default('countersink'),
  COUNTERSINK_SESSION_TIMEOUT_MS: integer(1000, 300_000, 6000),
  COUNTERSINK_REBALANCE_TIMEOUT_MS: integer(1000, 300_000, 10_000),
  COUNTERSINK_COMMIT_INTERVAL_MS: integer(1, 10_000, 10),
  COUNTERSINK_FETCH_BYTES_PER_PARTITION: integer(64 * 1024, 16 * 1024 * 1024, 512 * 1024),
  COUNTERSINK_IDS_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(1024)
    .max(2 ** 40)
    .optional(),
  COUNTERSINK_HOT_KEY_SHARE: z.coerce.number().min(0).max(1).default(0.25),
  COUNTERSINK_HOT_KEY_RATE: integer(0, 1_000_000_000, 5000),
  COUNTERSINK_HOT_KEY_WINDOW_MS: integer(100, 3_600_000, 5000),
  COUNTERSINK_ROUTING_LEASE_MS: integer(100, 3_600_000, ROUTING_TIMES.leaseMs),
  COUNTERSINK_ROUTING_AHEAD_MS: integer(100, 3_600_000, ROUTING_TIMES.aheadMs),
  COUNTERSINK_ROUTING_MARGIN_MS: integer(100, 3_600_000, ROUTING_TIMES.marginMs),
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
  /** Infinity when nothing is set: then hashed ids stay in memory. */
  idsBytesMax: number
  hotKeys: HotKeyOptions & { windowMs: number }
  routingTimes: RoutingTimes
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
    idsBytesMax: raw.COUNTERSINK_IDS_BYTES_MAX ?? Infinity,
    hotKeys: {
      shareMin: raw.COUNTERSINK_HOT_KEY_SHARE,
      perSecondMin: raw.COUNTERSINK_HOT_KEY_RATE,
      windowMs: raw.COUNTERSINK_HOT_KEY_WINDOW_MS,
    },
    routingTimes: {
      leaseMs: raw.COUNTERSINK_ROUTING_LEASE_MS,
      aheadMs: raw.COUNTERSINK_ROUTING_AHEAD_MS,
      marginMs: raw.COUNTERSINK_ROUTING_MARGIN_MS,
    },
    logLevel: raw.LOG_LEVEL,
  }
}
