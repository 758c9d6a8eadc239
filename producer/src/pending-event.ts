import type { CountEvent, EventInput } from '@countersink/shared/event'
import type { ProducerRecord } from '@countersink/shared/kafka/producer'
import type { FlushMark } from './flush-marks.ts'
import { NotDeliveredError } from './add-errors.ts'
import type { Receipt } from './receipt.ts'

/** One event between add() and its receipt. */
export type PendingEvent = {
  readonly event: CountEvent
  readonly partition: number
  readonly record: ProducerRecord
  /** What it takes of the buffer. */
  readonly bytes: number
  /** On the monotonic clock. */
  readonly deadlineMs: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: Error) => void
  /** The flush that waits for it; set when it is added. */
  mark: FlushMark | undefined
  /** Where it is: waiting for room, in its lane, on its way to the broker, or settled. */
  place: 'waiting' | 'lane' | 'flight' | 'settled'
}

/** The event as its sender may add it again. */
export function inputOf(event: CountEvent): EventInput {
  const { dims, ...fields } = event
  return dims === undefined ? fields : { ...fields, dims: Object.fromEntries(dims) }
}

export function notDelivered(
  pending: PendingEvent,
  message: string,
  cause: unknown,
  retryable = true,
): NotDeliveredError {
  return new NotDeliveredError(inputOf(pending.event), message, cause, retryable)
}
