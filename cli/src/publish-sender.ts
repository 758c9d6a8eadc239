import { InvalidEventError } from '@countersink/producer'
import { CountersinkError } from '@countersink/shared/errors'
import { type CountEvent, type EventInput, inputOf } from '@countersink/shared/event'
import type { InvalidReason } from '@countersink/shared/reasons'
import { eventOfLine, type FileEventOptions } from './file-event.ts'
import type { Line } from './file-lines.ts'
import { spoken } from './table.ts'

/** Events between add() and their receipt. The producer batches them; more would only be memory. */
const OUTSTANDING_MAX = 20_000

/** After Ctrl-C, for what is on its way. */
const INTERRUPTED_MS_MAX = 3000
const STALL_CHECK_MS = 250

/** Where the broker has put an event. */
export type Placed = { partition: number; offset: number }

export type SenderOptions = {
  lines: AsyncIterable<Line[]>
  events: FileEventOptions
  add: (event: EventInput) => Promise<Placed>
  /** Stop at the first line that is no event. */
  strict: boolean
  signal: AbortSignal
  onEvent: (event: CountEvent, line: number) => void
  onInvalid: (line: number, reason: InvalidReason) => void
  onPlaced: (placed: Placed) => void
  /** Resolves when more may be sent. */
  room: () => Promise<void>
  /** Makes all outstanding events fail; called after `stallMsMax` without an acknowledgement. */
  abandon: () => void
  stallMsMax: number
}

export type SendResult = {
  lines: number
  invalidLines: number
  /** Acknowledged by the broker. */
  delivered: number
  /** Handed over and not acknowledged: they may or may not be in the log. */
  undelivered: number
  /** What ended it before the last line, if something did. */
  failure: unknown
}

/** Sends the events of all lines in their order, and returns when each is acknowledged or given up. */
export async function sendLines(options: SenderOptions, result: SendResult): Promise<void> {
  let outstanding = 0
  let progressAt = performance.now()
  let wake: (() => void) | undefined
  const settled = (): void => {
    outstanding--
    progressAt = performance.now()
    wake?.()
  }
  const fewerThan = async (limit: number): Promise<void> => {
    while (outstanding >= limit) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    wake = undefined
  }
  const refuse = (line: number, reason: InvalidReason): void => {
    result.invalidLines++
    options.onInvalid(line, reason)
  }
  const send = (event: CountEvent, line: number): void => {
    if (outstanding++ === 0) progressAt = performance.now()
    options.add(inputOf(event)).then(
      (placed) => {
        result.delivered++
        options.onPlaced(placed)
        settled()
      },
      (error: unknown) => {
        // What only the SDK can tell: that it lies too far ahead of the clock to be routed.
        if (error instanceof InvalidEventError) refuse(line, error.reason)
        else {
          result.undelivered++
          result.failure ??= error
        }
        settled()
      },
    )
  }
  const sendLine = async (line: Line): Promise<void> => {
    result.lines = line.number
    const parsed = eventOfLine(line, options.events)
    if (parsed === undefined) return
    if (parsed.ok) {
      options.onEvent(parsed.event, line.number)
      if (outstanding >= OUTSTANDING_MAX) await fewerThan(OUTSTANDING_MAX)
      send(parsed.event, line.number)
      return
    }
    refuse(line.number, parsed.reason)
  }
  // All outstanding events are given up together: were the first to fail while later ones arrived,
  // those could move the clock, and what failed would be late when it is sent again.
  const stallCheck = setInterval(() => {
    const waitedMs = outstanding === 0 ? 0 : performance.now() - progressAt
    if (waitedMs > options.stallMsMax) result.failure ??= stalled(options.stallMsMax)
    else if (!options.signal.aborted || waitedMs < INTERRUPTED_MS_MAX) return
    options.abandon()
  }, STALL_CHECK_MS)
  const stopped = (): boolean =>
    options.signal.aborted ||
    result.failure !== undefined ||
    (options.strict && result.invalidLines > 0)

  try {
    reading: for await (const some of options.lines) {
      await options.room()
      for (const line of some) {
        if (stopped()) break reading
        await sendLine(line)
      }
    }
  } catch (error) {
    result.failure ??= error
  }
  await fewerThan(1)
  clearInterval(stallCheck)
}

function stalled(stallMs: number): CountersinkError {
  return new CountersinkError(
    'TIMED_OUT',
    `Kafka has acknowledged nothing for ${spoken(stallMs)}; is the broker up?`,
    { retryable: true },
  )
}
