import { messageOf } from '@countersink/shared/errors'
import { type InvalidReason, REASON_DETAILS } from '@countersink/shared/reasons'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Sample, Tally } from './outcome-watch.ts'
import type { SendResult } from './publish-sender.ts'
import { formatTable, grouped, plural, spoken } from './table.ts'

export type PublishSummary = {
  source: string
  sending: SendResult
  /** Undefined with --no-wait. */
  tally: Readonly<Tally> | undefined
  /** Some of the events that conflicted, were late or invalid. */
  samples: readonly Sample[]
  pending: number
  waitFailure: unknown
  /** Covers everything that was delivered; undefined when nothing was. */
  position: string | undefined
  elapsedMs: number
  interrupted: boolean
}

/** What --json prints. Counts are numbers; `counted` and the rest are null with --no-wait. */
export function summaryJson(s: PublishSummary): Record<string, unknown> {
  const { sending, tally } = s
  return {
    source: s.source,
    lines: sending.lines,
    invalidLines: sending.invalidLines,
    sent: sending.delivered,
    notDelivered: sending.undelivered,
    counted: tally?.applied ?? null,
    duplicate: tally?.duplicate ?? null,
    conflict: tally?.conflict ?? null,
    late: tally?.late ?? null,
    invalid: tally?.invalid ?? null,
    skipped: tally?.skipped ?? null,
    pending: tally === undefined ? null : s.pending,
    position: s.position ?? null,
    seconds: Number((s.elapsedMs / 1000).toFixed(3)),
    error: s.waitFailure === undefined ? errorOf(sending.failure) : errorOf(s.waitFailure),
  }
}

function errorOf(failure: unknown): string | null {
  return failure === undefined ? null : messageOf(failure)
}

const MEANINGS: readonly [keyof Tally, string, string][] = [
  ['applied', 'counted', ''],
  ['duplicate', 'duplicate', 'counted before, not counted again'],
  ['conflict', 'conflict', 'the same id with another delta, at or dims; not counted'],
  ['late', 'late', 'older than the lateness allows; not counted'],
  ['invalid', 'invalid', 'not counted'],
  ['skipped', 'skipped', 'inside a gap that an operator accepted; not counted'],
]

/** What a person reads on stdout. */
export function summaryLines(s: PublishSummary): string[] {
  const { sending, tally } = s
  const head = `${plural(sending.delivered, 'event')} sent in ${spoken(s.elapsedMs)}`
  if (tally === undefined) return [head]
  const rows = MEANINGS.filter(
    ([outcome]) => outcome === 'applied' || outcome === 'duplicate' || tally[outcome] > 0,
  ).map(([outcome, name, meaning]) => [`  ${name}`, grouped(tally[outcome]), meaning])
  if (s.pending > 0) rows.push(['  pending', grouped(s.pending), 'sent, not counted yet'])
  const [, ...lines] = formatTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'right' },
      { title: '', align: 'left' },
    ],
    rows,
  )
  return [head, ...lines]
}

const AGAIN = 'Publishing the same lines again is safe: what is counted is not counted twice.'

/** What went wrong, in words that say what to do; empty when nothing did. */
export function summaryProblems(s: PublishSummary): string[] {
  const { sending } = s
  const problems: string[] = []
  if (s.interrupted) problems.push(`interrupted. ${AGAIN}`)
  else if (sending.failure !== undefined) {
    problems.push(`sending stopped: ${messageOf(sending.failure)}`)
  }
  if (sending.undelivered > 0) {
    problems.push(
      `${plural(sending.undelivered, 'event was', 'events were')} not acknowledged by Kafka. ${AGAIN}`,
    )
  }
  if (!s.interrupted && s.waitFailure !== undefined) {
    problems.push(
      `gave up waiting for ${plural(s.pending, 'event')} to be counted: ` +
        `${messageOf(s.waitFailure)}. They are in the log and will be counted; ` +
        '`countersink status` shows how far counting is.',
    )
  }
  return problems
}

/** See exit-codes.ts. Late and duplicate events are a normal end: a second run has them. */
export function summaryExit(s: PublishSummary): ExitCode {
  const { sending, tally } = s
  if (s.interrupted) return EXIT.interrupted
  if (sending.undelivered > 0) return EXIT.gaveUp
  if (sending.failure !== undefined) return EXIT.failed
  if (s.waitFailure !== undefined) return EXIT.gaveUp
  const uncounted = tally === undefined ? 0 : tally.conflict + tally.invalid + tally.skipped
  return sending.invalidLines + uncounted > 0 ? EXIT.partly : EXIT.ok
}

export const INVALID_LINES_SHOWN_MAX = 20

export function invalidLineText(line: number, reason: InvalidReason): string {
  return `line ${line} is not sent: ${reason} (${reasonText(reason)})`
}

function reasonText(reason: InvalidReason): string {
  // A file's line may be longer than a record's value, whose bound the common text names.
  return reason === 'too-large' ? 'the line is longer than 1 MiB' : REASON_DETAILS[reason]
}

/** Hints that follow from the first reason a file of strangers usually has. */
export function invalidLinesHint(reasons: ReadonlyMap<InvalidReason, number>): string | undefined {
  if (reasons.has('missing-at')) {
    return (
      'Every event needs its "at", the same whenever it is published again. --now stamps lines ' +
      'that have neither "id" nor "at" with the current time; published again they count again.'
    )
  }
  if (reasons.has('not-an-object') || reasons.has('not-json')) {
    return 'One JSON object a line is expected. `jq -c ".[]" FILE` makes that of a JSON list.'
  }
  return undefined
}
