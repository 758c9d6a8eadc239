import { parseConfig, sharedSettings, integer, type Environment } from '@countersink/shared/config'
import { z } from 'zod'

const MIB = 1024 * 1024

const schema = z
  .object({
    DATABASE_URL: sharedSettings.DATABASE_URL,
    KAFKA_BROKERS: sharedSettings.KAFKA_BROKERS,
    COUNTERSINK_TOPIC: sharedSettings.COUNTERSINK_TOPIC,
    HOST: sharedSettings.HOST,
    PORT: integer(0, 65_535, 8080),
    LOG_LEVEL: sharedSettings.LOG_LEVEL,
    /** Between two polls of the commit log while commits come in, and when nothing has come for long. */
    POLL_INTERVAL_MS: integer(1, 1_000, 8),
    POLL_INTERVAL_MS_MAX: integer(1, 10_000, 40),
    /** Deltas kept in memory, 36 bytes each and what finds them: about 100 in all. */
    TAIL_ENTRIES_MAX: integer(1_024, 100_000_000, 2 ** 21),
    PAGE_CACHE_BYTES_MAX: integer(MIB, 2 ** 36, 64 * MIB),
    SERIES_CACHE_BYTES_MAX: integer(MIB, 2 ** 36, 32 * MIB),
    /** How long a request waits for the position in `after`, or for the database. */
    WAIT_MS_MAX: integer(0, 60_000, 10_000),
  })
  .refine((config) => config.POLL_INTERVAL_MS <= config.POLL_INTERVAL_MS_MAX, {
    path: ['POLL_INTERVAL_MS_MAX'],
    message: 'must not be less than POLL_INTERVAL_MS',
  })

export type Config = z.output<typeof schema>

/** Throws CONFIG_INVALID with every variable that is wrong. */
export function readConfig(environment: Environment = process.env): Config {
  return parseConfig(schema, environment)
}
