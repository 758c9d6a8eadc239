import { grouped } from './table.ts'
import type { Terminal } from './terminal.ts'

const REDRAW_MS = 100
const PLAIN_LINE_MS = 10_000
const BAR_CHARS = 20
/** Nothing has changed for so long: said, with who may know why. */
const STILL_MS_MIN = 5000

export type ProgressState = {
  /** 0 to 1, undefined when the size is not known. */
  part: number | undefined
  sent: number
  settled: number
  phase: 'sending' | 'counting'
}

export type Progress = { stop(): void }

/** A bar on a terminal; elsewhere a plain line every 10 s, so that a log shows life and no spam. */
export function startProgress(terminal: Terminal, read: () => ProgressState): Progress {
  const startedAt = performance.now()
  let [seen, changedAt] = [JSON.stringify(read()), startedAt]
  const draw = (): void => {
    const [state, now] = [read(), performance.now()]
    const shown = JSON.stringify(state)
    if (shown !== seen) [seen, changedAt] = [shown, now]
    const times = { elapsedMs: now - startedAt, stillMs: now - changedAt }
    const line = progressLine(state, times, terminal.interactive)
    if (terminal.interactive) terminal.progress(line)
    else terminal.note(line)
  }
  const timer = setInterval(draw, terminal.interactive ? REDRAW_MS : PLAIN_LINE_MS)
  return {
    stop: () => {
      clearInterval(timer)
      terminal.clearProgress()
    },
  }
}

export function progressLine(
  state: ProgressState,
  { elapsedMs, stillMs }: { elapsedMs: number; stillMs: number },
  withBar: boolean,
): string {
  const part = state.phase === 'counting' ? state.settled / Math.max(state.sent, 1) : state.part
  const done = part === undefined ? undefined : Math.min(Math.max(part, 0), 1)
  const rate = elapsedMs === 0 ? 0 : Math.round((state.sent / elapsedMs) * 1000)
  const counts =
    state.phase === 'sending'
      ? `${grouped(state.sent)} sent, ${grouped(state.settled)} counted, ${grouped(rate)}/s`
      : `${grouped(state.settled)} of ${grouped(state.sent)} counted`
  const percent = done === undefined ? '' : `${Math.floor(done * 100)}%`
  if (stillMs >= STILL_MS_MIN) {
    const since = `nothing new for ${Math.floor(stillMs / 1000)} s`
    // Of a stream nobody knows whether there is anything to send: it may just be silent.
    return done === undefined
      ? `${state.phase}: ${since}, ${counts}`
      : `${state.phase}: ${percent}, ${since} (ask countersink doctor), ${counts}`
  }
  if (done === undefined) return `${state.phase}: ${counts}`
  return withBar
    ? `${state.phase} ${bar(done)} ${percent.padStart(4)}  ${counts}`
    : `${state.phase}: ${percent}, ${counts}`
}

function bar(part: number): string {
  const full = Math.floor(part * BAR_CHARS)
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CHARS - full)}]`
}
