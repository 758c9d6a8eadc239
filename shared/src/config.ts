import { z } from 'zod'
import { CountersinkError } from './errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads a service's settings from an environment. Throws CONFIG_INVALID that names every variable
 * that is wrong, at once. Empty variables count as not set.
 */
export function parseConfig<T extends z.ZodType>(schema: T, environment: Environment): z.output<T> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
  throw new CountersinkError(
    'CONFIG_INVALID',
    `the settings are not valid:\n${problems.join('\n')}`,
  )
}

const DATABASE = 'postgres:// URL of the database'
const TOPIC = "a topic's name: letters, digits, dots, underscores and hyphens, at most 241 of them"

const BROKER = /^([^\s:,]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/

/** Settings that several services share, by variable name. */
export const sharedSettings = {
  KAFKA_BROKERS: z
    .string('comma-separated host:port of the Kafka brokers')
    .transform((text) => text.split(',').map((broker) => broker.trim()))
    .refine(
      (brokers) => brokers.every((broker) => BROKER.test(broker)),
      'comma-separated host:port of the Kafka brokers',
    ),
  DATABASE_URL: z.string(DATABASE).regex(/^postgres(ql)?:\/\//, DATABASE),
  // Kafka takes 249 characters, and <topic>.routing stands beside it.
  COUNTERSINK_TOPIC: z
    .string()
    .regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,241}$/, TOPIC)
    .default('countersink.events'),
  COUNTERSINK_CONTRACTS: z.string().optional(),
  HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
}

/** A whole number within bounds, from text. */
export function integer(min: number, max: number, fallback: number): z.ZodType<number, unknown> {
  const bounds = `a whole number from ${min} to ${max}`
  return z.coerce
    .number(bounds)
    .refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, bounds)
    .default(fallback)
}
