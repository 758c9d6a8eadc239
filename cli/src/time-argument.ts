import { parseDuration } from '@countersink/shared/duration'
import { LIMITS, parseRfc3339 } from '@countersink/shared/event'

const DATE = /^\d{4}-\d{2}-\d{2}$/

/**
 * Epoch milliseconds of what a person writes for a time: RFC 3339, a date (midnight UTC), epoch
 * milliseconds, `now`, or how long ago: `90m`, `7d`. Undefined when it is none of these.
 */
export function parseTime(text: string, nowMs: number): number | undefined {
  if (text === 'now') return nowMs
  if (/^\d+$/.test(text)) {
    const ms = Number(text)
    return ms <= LIMITS.atMsMax ? ms : undefined
  }
  if (DATE.test(text)) return parseRfc3339(`${text}T00:00:00Z`)
  const ago = parseDuration(text)
  return ago === undefined ? parseRfc3339(text) : nowMs - ago
}
