import { formatDuration } from '@countersink/shared/duration'
import { printable } from './printable.ts'
import type { CounterLateness } from './lateness-check.ts'
import { grouped, plural, spoken } from './table.ts'

/** Counters that are written about; more are only counted. */
const COUNTERS_SHOWN_MAX = 5

/** What a person is told before events are sent that will not count; empty when all will. */
export function latenessWarnings(problems: readonly CounterLateness[]): string[] {
  const shown = problems.slice(0, COUNTERS_SHOWN_MAX).flatMap(counterWarnings)
  const more = problems.length - COUNTERS_SHOWN_MAX
  return more > 0 ? [...shown, `the same goes for ${plural(more, 'more counter')}`] : shown
}

function counterWarnings(c: CounterLateness): string[] {
  const name = `"${printable(c.counter)}"`
  const of = (some: number): string =>
    `${grouped(some)} of ${plural(c.events, 'event')} of ${name} will be`
  const lateness = formatDuration(c.latenessMs)
  const warnings: string[] = []
  if (c.lateByOrder > 0) {
    warnings.push(
      `${of(c.lateByOrder)} late and not count, because of the ` +
        `order of the lines: each lies more than ${lateness} (the lateness of this counter) ` +
        `behind one before it. The first is on line ${c.lateByOrderLine}; the furthest lies ` +
        `${spoken(c.behindMs)} behind. Sort the lines by "at", or give the counter a longer lateness.`,
    )
  }
  if (c.lateByClock > 0) {
    warnings.push(
      `${of(c.lateByClock)} late and not count now, because newer ` +
        `events are counted already: each is more than ${lateness} older (the first is on line ` +
        `${c.lateByClockLine}). Those that were counted before stay counted.`,
    )
  }
  if (c.future > 0) {
    warnings.push(
      `${of(c.future)} invalid, because their "at" lies in the ` +
        `future (the first is on line ${c.futureLine}). Is it in milliseconds, and in UTC?`,
    )
  }
  return warnings
}
