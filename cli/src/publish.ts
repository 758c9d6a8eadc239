import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import { createLogger } from '@countersink/shared/log'
import { formatPosition } from '@countersink/shared/position'
import type { InvalidReason } from '@countersink/shared/reasons'
import { outcomesAnswer, statusAnswer } from './api-answers.ts'
import { type ApiClient, ApiRefusal, createApiClient } from './api-client.ts'
import { requireBrokers, requireSetting, requireTopic } from './config.ts'
import type { CommandContext } from './context.ts'
import { readCountingState } from './counting-state.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { eventOfLine, type FileEventOptions, sourceNameOf } from './file-event.ts'
import { openSource, type Source } from './file-lines.ts'
import { LatenessCheck } from './lateness-check.ts'
import { latenessWarnings } from './lateness-report.ts'
import { createOutcomeWatch, type OutcomeWatch } from './outcome-watch.ts'
import { startProgress } from './progress.ts'
import {
  INVALID_LINES_SHOWN_MAX,
  invalidLineText,
  invalidLinesHint,
  type PublishSummary,
  summaryExit,
  summaryJson,
  summaryLines,
  summaryProblems,
} from './publish-report.ts'
import { type Placed, sendLines, type SendResult } from './publish-sender.ts'
import { grouped, plural } from './table.ts'

export type PublishOptions = {
  json: boolean
  wait: boolean
  check: boolean
  strict: boolean
  strictLateness: boolean
  now: boolean
  source: string | undefined
  /** Without progress for so long, sending and waiting each give up. */
  timeoutMs: number
}

/** A look through a larger file ends after this time and says so. */
const CHECK_MS_MAX = 10_000
const DELIVERY_MS_MAX = 24 * 3_600_000
const STOP_MS_MAX = 1000
const START_RETRY_MS = 300
/** For the question why counting stands still. */
const STATUS_MS_MAX = 2000

export async function publish(
  file: string,
  options: PublishOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { settings, terminal, signal } = context
  const brokers = requireBrokers(settings)
  const api = options.wait ? requireSetting(settings, 'COUNTERSINK_API') : undefined
  const source = await openSource(file, process.stdin, signal)
  const events: FileEventOptions = {
    sourceName: options.source ?? sourceNameOf(file),
    now: options.now ? Date.now : undefined,
  }
  const check = await startCheck(options, context)
  const looked = source.bytes !== undefined && check !== undefined
  if (looked) {
    const late = await lookThrough(source, events, check, context)
    if (late && options.strictLateness) {
      terminal.fail('nothing was sent, as --strict-lateness asks for')
      return EXIT.failed
    }
  }
  const summary = await sendAndWait({
    source,
    events,
    options,
    context,
    brokers,
    api: api === undefined ? undefined : createApiClient(api, signal),
    // What cannot be looked through before is followed while it is sent.
    check: looked ? undefined : check,
  })
  if (!looked) latenessWarnings(check?.problems() ?? []).forEach(terminal.warn)
  if (options.json) terminal.printJson(summaryJson(summary))
  else summaryLines(summary).forEach(terminal.print)
  summaryProblems(summary).forEach(terminal.fail)
  return summaryExit(summary)
}

async function startCheck(
  options: PublishOptions,
  { settings }: CommandContext,
): Promise<LatenessCheck | undefined> {
  if (!options.check) return undefined
  const state = await readCountingState(settings)
  return new LatenessCheck({ ...state, nowMs: Date.now() })
}

/** Reads the whole file once before anything is sent. True when it found events that will be late. */
async function lookThrough(
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
      if (performance.now() > deadline) {
        ended = false
        break
      }
    }
  } catch (error) {
    signal.throwIfAborted()
    // Broken data are met again, and reported, where they are sent.
    if (!(error instanceof CountersinkError)) throw error
  }
  terminal.clearProgress()
  const problems = check.problems()
  latenessWarnings(problems).forEach(terminal.warn)
  if (!ended)
    terminal.note(`only the first ${plural(lines, 'line')} were looked through for late events`)
  return problems.length > 0
}

function isTimeout(error: unknown): error is CountersinkError {
  return error instanceof CountersinkError && error.code === 'TIMED_OUT'
}

/** The same error, with what the status says about partitions that do not move. */
async function explainStall(api: ApiClient, error: CountersinkError): Promise<CountersinkError> {
  try {
    const { partitions } = await api.get('/v1/status', statusAnswer, STATUS_MS_MAX)
    const still = partitions.filter((p) => p.state !== 'live')
    if (still.length === 0) return error
    const states = still.map((p) => `partition ${p.partition} is ${p.state}`).join(', ')
    return new CountersinkError('TIMED_OUT', `${error.message}; ${states}`, { cause: error })
  } catch {
    return error
  }
}

type SendAndWait = {
  source: Source
  events: FileEventOptions
  options: PublishOptions
  context: CommandContext
  brokers: string[]
  api: ApiClient | undefined
  check: LatenessCheck | undefined
}

async function sendAndWait(run: SendAndWait): Promise<PublishSummary> {
  const { source, options, context, api } = run
  const startedAt = performance.now()
  const next = new Map<number, number>()
  const sending: SendResult = {
    lines: 0,
    invalidLines: 0,
    delivered: 0,
    undelivered: 0,
    failure: undefined,
  }
  const watch = api === undefined ? undefined : watchOutcomes(api, options, context.signal)
  let waitFailure: unknown
  const waiting = watch?.run().catch((error: unknown) => {
    waitFailure = error
  })
  let phase: 'sending' | 'counting' = 'sending'
  const progress = startProgress(context.terminal, () => ({
    phase,
    part: source.bytes === undefined ? undefined : source.bytesRead() / Math.max(source.bytes, 1),
    sent: sending.delivered,
    settled: sending.delivered - (watch?.pending ?? 0),
  }))
  try {
    await send(run, sending, watch, next)
    phase = 'counting'
    watch?.close()
    await waiting
    if (api !== undefined && isTimeout(waitFailure))
      waitFailure = await explainStall(api, waitFailure)
  } finally {
    progress.stop()
  }
  const position = { topic: requireTopic(context.settings), generation: 0, next }
  return {
    source: source.name,
    sending,
    tally: watch?.tally,
    pending: watch?.pending ?? 0,
    waitFailure,
    position: next.size === 0 ? undefined : formatPosition(position),
    elapsedMs: performance.now() - startedAt,
    interrupted: context.signal.aborted,
  }
}

async function send(
  run: SendAndWait,
  result: SendResult,
  watch: OutcomeWatch | undefined,
  next: Map<number, number>,
): Promise<void> {
  const { context, options, events, check } = run
  const { createProducer } = await import('@countersink/producer')
  const producer = createProducer({
    brokers: run.brokers,
    topic: requireTopic(context.settings),
    clientId: 'countersink-cli',
    // Giving up is decided for all events together, see sendLines.
    deliveryTimeoutMs: DELIVERY_MS_MAX,
    stopTimeoutMs: STOP_MS_MAX,
    logger: createLogger('cli', 'silent'),
  })
  const reasons = new Map<InvalidReason, number>()
  try {
    await untilStarted(() => producer.start(), options.timeoutMs, context.signal)
    await sendLines(
      {
        lines: run.source.lines(),
        events,
        strict: options.strict,
        stallMsMax: options.timeoutMs,
        abandon: () => void producer.stop(),
        signal: context.signal,
        add: (event) => producer.add(event),
        room: () => watch?.room() ?? Promise.resolve(),
        onEvent: (event, line) => check?.add(event, line),
        onPlaced: ({ partition, offset }: Placed) => {
          watch?.add(partition, offset)
          next.set(partition, Math.max(next.get(partition) ?? 0, offset + 1))
        },
        onInvalid: (line, reason) => {
          reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
          if (result.invalidLines <= INVALID_LINES_SHOWN_MAX) {
            context.terminal.warn(invalidLineText(line, reason))
          }
        },
      },
      result,
    )
  } catch (error) {
    result.failure ??= error
  } finally {
    await producer.stop()
  }
  reportInvalidLines(result, reasons, context)
}

/** A broker that is being started again takes some seconds. */
async function untilStarted(
  start: () => Promise<void>,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      return await start()
    } catch (error) {
      const retryable = error instanceof CountersinkError && error.code === 'KAFKA_UNAVAILABLE'
      if (!retryable || performance.now() > deadline) throw error
    }
    await sleep(START_RETRY_MS, undefined, { signal })
  }
}

function reportInvalidLines(
  result: SendResult,
  reasons: ReadonlyMap<InvalidReason, number>,
  { terminal }: CommandContext,
): void {
  if (result.invalidLines === 0) return
  const by = [...reasons].map(([reason, count]) => `${reason} ${grouped(count)}`).join(', ')
  terminal.warn(`${plural(result.invalidLines, 'line')} not sent (${by})`)
  const hint = invalidLinesHint(reasons)
  if (hint !== undefined) terminal.note(hint)
}

function watchOutcomes(api: ApiClient, options: PublishOptions, signal: AbortSignal): OutcomeWatch {
  return createOutcomeWatch({
    ask: async (partition, from, to) => {
      const path = `/v1/partitions/${partition}/outcomes?from=${from}&to=${to}`
      try {
        return await api.get(path, outcomesAnswer)
      } catch (error) {
        // Nobody has claimed the partition yet.
        if (error instanceof ApiRefusal && error.status === 404) return undefined
        throw error
      }
    },
    sleep: (ms) => sleep(ms, undefined, { signal }),
    nowMs: () => performance.now(),
    stallMsMax: options.timeoutMs,
  })
}
