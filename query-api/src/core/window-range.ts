import { formatDuration, parseDuration } from '@countersink/shared/duration'
import { LIMITS, parseRfc3339 } from '@countersink/shared/event'
import type { WindowRange } from './window-sums.ts'

export type WindowsAsked = {
  from: string | undefined
  to: string | undefined
  step: string | undefined
  tz: string | undefined
}

/** Windows of `step` in [from, to), summed up from those of `size`. */
export type WindowPlan = WindowRange & { step: number }

/** Windows in one answer, and kept windows read for it: ten years by the day, a week by the minute. */
export const WINDOWS_MAX = 10_000
export const KEPT_WINDOWS_MAX = 100_000
const WINDOWS_BY_DEFAULT = 60
/** The end of the last window may lie behind the last moment that an event may have. */
const TIME_MS_MAX = LIMITS.atMsMax + 1

/**
 * Which windows answer a request, or in words why none do. Without `step` it is the finest kept,
 * without `to` up to and with the window of `now`, without `from` so that there are 60.
 */
export function planWindows(
  asked: WindowsAsked,
  sizes: readonly number[],
  now: number,
): WindowPlan | { fault: string } {
  if (asked.tz !== undefined && asked.tz !== 'UTC' && asked.tz !== 'Etc/UTC') {
    return { fault: 'tz can only be UTC so far: windows of other time zones are not served yet' }
  }
  const step = asked.step === undefined ? sizes[0] : parseDuration(asked.step)
  if (step === undefined) return { fault: 'step must be a duration such as 1m, 15m, 1h or 1d' }
  const size = sizes.filter((kept) => step % kept === 0).at(-1)
  if (size === undefined) {
    const kept = sizes.map(formatDuration).join(', ')
    return { fault: `step must be a multiple of a kept window size: ${kept}` }
  }
  const to = asked.to === undefined ? (Math.floor(now / step) + 1) * step : parseTime(asked.to)
  if (to === undefined) return { fault: `to ${TIME_FORM}` }
  const from =
    asked.from === undefined ? Math.max(0, to - WINDOWS_BY_DEFAULT * step) : parseTime(asked.from)
  if (from === undefined) return { fault: `from ${TIME_FORM}` }
  if (from > to) return { fault: 'from must not be after to' }
  return bounded({ step, size, from: Math.ceil(from / step) * step, to: to - (to % step) })
}

const TIME_FORM = 'must be an RFC 3339 time or epoch milliseconds, between 1970 and 9999'

function bounded(plan: WindowPlan): WindowPlan | { fault: string } {
  const { from, to, step, size } = plan
  if (to <= from) return { ...plan, to: from }
  if ((to - from) / step > WINDOWS_MAX) {
    return { fault: `that is ${(to - from) / step} windows, at most ${WINDOWS_MAX} are answered` }
  }
  if ((to - from) / size > KEPT_WINDOWS_MAX) {
    return {
      fault:
        `that takes ${(to - from) / size} windows of ${formatDuration(size)}, ` +
        `at most ${KEPT_WINDOWS_MAX} are read: ask for a shorter range`,
    }
  }
  return plan
}

/** Epoch milliseconds of a time in a request. */
export function parseTime(text: string): number | undefined {
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : parseRfc3339(text)
  return ms !== undefined && ms >= 0 && ms <= TIME_MS_MAX ? ms : undefined
}

/** RFC 3339, UTC; without milliseconds where there are none. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
