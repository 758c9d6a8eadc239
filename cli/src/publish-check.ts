import { CountersinkError } from '@countersink/shared/errors'
import type { CommandContext } from './context.ts'
import { readCountingState } from './counting-state.ts'
import { eventOfLine, type FileEventOptions } from './file-event.ts'
import type { Source } from './file-lines.ts'
import { LatenessCheck } from './lateness-check.ts'
import { readRouter } from './routing-state.ts'
import { latenessWarnings } from './lateness-report.ts'
import { grouped, plural } from './table.ts'

/** A look through a larger file ends after this time and says so. */
const CHECK_MS_MAX = 10_000

export async function startCheck({ settings }: CommandContext): Promise<LatenessCheck> {
  const [state, router] = await Promise.all([readCountingState(settings), readRouter(settings)])
  return new LatenessCheck({
    ...state,
    partitions: Math.max(...router.versions.map(({ partitions }) => partitions)),
    versionAt: (at) => router.versionAt(at),
    nowMs: Date.now(),
  })
}

/**
 * Reads a file once before anything of it is sent, and warns of events that will not count because
 * of their times. True when there are such.
 */
export async function lookThrough(
  source: Source,
  events: FileEventOptions,
  check: LatenessCheck,
  { terminal, signal }: CommandContext,
): Promise<boolean> {
  const deadline = performance.now() + CHECK_MS_MAX
  let lines = 0
  let ended = true
  try {
    for await (const some of source.lines()) {
      for (const line of some) {
        const parsed = eventOfLine(line, events)
        if (parsed?.ok === true) check.add(parsed.event, line.number)
        lines = line.number
      }
      signal.throwIfAborted()
      terminal.progress(`looking through ${source.name}: ${grouped(lines)} lines`)
      ended = performance.now() < deadline
      if (!ended) break
    }
  } catch (error) {
    signal.throwIfAborted()
    // Broken data are met again, and reported, where they are sent.
    if (!(error instanceof CountersinkError)) throw error
  }
  terminal.clearProgress()
  const problems = check.problems()
  latenessWarnings(problems).forEach(terminal.warn)
  if (!ended) {
    terminal.note(`only the first ${plural(lines, 'line')} were looked through for late events`)
  }
  return problems.length > 0
}
