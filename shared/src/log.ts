import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/** One JSON line an event on stdout: keys of users go into fields, never into the message. */
export function createLogger(service: string, level: string): Logger {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  })
}
