import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from '@countersink/producer'
import { CountersinkError } from '@countersink/shared/errors'
import { createLogger } from '@countersink/shared/log'
import { formatPosition } from '@countersink/shared/position'
import type { InvalidReason } from '@countersink/shared/reasons'
import type { ApiClient } from './api-client.ts'
import { requireBrokers, requireTopic } from './config.ts'
import type { CommandContext } from './context.ts'
import type { FileEventOptions } from './file-event.ts'
import type { Source } from './file-lines.ts'
import type { LatenessCheck } from './lateness-check.ts'
import type { OutcomeWatch } from './outcome-watch.ts'
import { startProgress } from './progress.ts'
import {
  INVALID_LINES_SHOWN_MAX,
  invalidLineText,
  invalidLinesHint,
  type PublishSummary,
} from './publish-report.ts'
import { type Placed, sendLines, type SendResult } from './publish-sender.ts'
import { explainStall, watchOutcomes } from './publish-wait.ts'
import { grouped, plural } from './table.ts'

const DELIVERY_MS_MAX = 24 * 3_600_000
const STOP_MS_MAX = 1000
const START_RETRY_MS = 300

/** A producer that is connected; a broker that is being started again is waited for. */
export async function startProducer(
  patienceMs: number,
  format: 'packed' | 'json',
  { settings, signal }: CommandContext,
): Promise<Producer> {
  const brokers = requireBrokers(settings)
  const { createProducer } = await import('@countersink/producer')
  const producer = createProducer({
    brokers,
    topic: requireTopic(settings),
    clientId: 'countersink-cli',
    format,
    // Giving up is decided for all events together, see sendLines.
    deliveryTimeoutMs: DELIVERY_MS_MAX,
    stopTimeoutMs: STOP_MS_MAX,
    logger: createLogger('cli', 'silent'),
  })
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      await producer.start()
      return producer
    } catch (error) {
      const away = error instanceof CountersinkError && error.code === 'KAFKA_UNAVAILABLE'
      if (away && performance.now() < deadline && !signal.aborted) {
        await sleep(START_RETRY_MS, undefined, { signal }).catch(() => {})
        continue
      }
      await producer.stop()
      throw error
    }
  }
}

export type SendAndWait = {
  producer: Producer
  source: Source
  events: FileEventOptions
  context: CommandContext
  /** Undefined: do not wait. */
  api: ApiClient | undefined
  check: LatenessCheck | undefined
  strict: boolean
  timeoutMs: number
}

/** Sends all lines, settles what is settled meanwhile, and waits for the rest. Never throws. */
export async function sendAndWait(run: SendAndWait): Promise<PublishSummary> {
  const { source, context, api } = run
  const startedAt = performance.now()
  const next = new Map<number, number>()
  const sending: SendResult = {
    lines: 0,
    invalidLines: 0,
    delivered: 0,
    undelivered: 0,
    failure: undefined,
  }
  const watch = api && watchOutcomes(api, run.timeoutMs, context.signal)
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
  await send(run, sending, watch, next)
  phase = 'counting'
  watch?.close()
  await waiting
  progress.stop()
  if (api !== undefined && waitFailure !== undefined) {
    waitFailure = await explainStall(api, waitFailure)
  }
  const position = { topic: requireTopic(context.settings), generation: 0, next }
  return {
    source: source.name,
    sending,
    tally: watch?.tally,
    samples: watch?.samples ?? [],
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
  const { context, producer, check } = run
  const reasons = new Map<InvalidReason, number>()
  await sendLines(
    {
      lines: run.source.lines(),
      events: run.events,
      strict: run.strict,
      signal: context.signal,
      stallMsMax: run.timeoutMs,
      add: (event) => producer.add(event),
      abandon: () => void producer.stop(),
      room: () => watch?.room() ?? Promise.resolve(),
      onEvent: (event, line) => check?.add(event, line),
      onPlaced: ({ partition, offset }: Placed) => {
        watch?.add(partition, offset)
        next.set(partition, Math.max(next.get(partition) ?? 0, offset + 1))
      },
      onInvalid: (line, reason) => {
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
        if (result.invalidLines > INVALID_LINES_SHOWN_MAX) return
        context.terminal.warn(invalidLineText(line, reason))
      },
    },
    result,
  )
  reportInvalidLines(result, reasons, context)
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
