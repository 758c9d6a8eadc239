import type { Parsed } from '@countersink/shared/event'
import { eventJsonLine, eventLine, type Place } from './cat-lines.ts'
import { grouped, plural } from './table.ts'
import type { Terminal } from './terminal.ts'

/** Lines are written so many at a time: one call each would take most of the time. */
const LINES_HELD_MAX = 1000

/** Prints events up to a limit and counts them. */
export type CatPrinter = {
  /** The events of one record; false when the limit is reached, and nothing more is wanted. */
  record(place: Omit<Place, 'index'>, events: readonly Parsed[]): boolean
  /** Writes what is held back. */
  flush(): void
  /** What was printed, for stderr. */
  summary(): string
}

export function createCatPrinter(
  options: { json: boolean; limit: number },
  terminal: Terminal,
): CatPrinter {
  let lines: string[] = []
  let records = 0
  let events = 0
  let invalid = 0

  function flush(): void {
    if (lines.length > 0) terminal.print(lines.join('\n'))
    lines = []
  }

  return {
    record(where, parsed) {
      records++
      for (const [index, one] of parsed.entries()) {
        const place = { ...where, index }
        lines.push(options.json ? eventJsonLine(place, one) : eventLine(place, one, terminal.paint))
        if (lines.length === LINES_HELD_MAX) flush()
        events++
        if (!one.ok) invalid++
        if (events >= options.limit) return false
      }
      return true
    },
    flush,
    summary() {
      const bad = invalid === 0 ? '' : `, ${grouped(invalid)} invalid`
      return `${plural(events, 'event')} of ${plural(records, 'record')}${bad}`
    },
  }
}
