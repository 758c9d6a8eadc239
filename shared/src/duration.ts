const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DURATION = /^(\d{1,12})(ms|s|m|h|d)$/
const NAMES = ['d', 'h', 'm', 's', 'ms'] as const

/** Milliseconds of `90s`, `15m`, `24h`, `7d`; undefined when the text is none of these or is zero. */
export function parseDuration(text: string): number | undefined {
  const m = DURATION.exec(text)
  if (m === null) return undefined
  const ms = Number(m[1]) * UNITS_MS[m[2] as keyof typeof UNITS_MS]
  return Number.isSafeInteger(ms) && ms > 0 ? ms : undefined
}

/** The shortest text with one unit: 60,000 is `1m`, 86,400,000 is `1d`, 5,400,000 is `90m`. */
export function formatDuration(ms: number): string {
  const unit = NAMES.find((name) => ms % UNITS_MS[name] === 0) ?? 'ms'
  return `${ms / UNITS_MS[unit]}${unit}`
}
