import { CountersinkError } from '@countersink/shared/errors'
import type { EventInput } from '@countersink/shared/event'
import { type InvalidReason, REASON_DETAILS } from '@countersink/shared/reasons'

/** An event that nobody can count, for `reason`; nothing was sent. */
export class InvalidEventError extends CountersinkError {
  readonly reason: InvalidReason

  constructor(reason: InvalidReason) {
    super('EVENT_INVALID', `${reason}: ${REASON_DETAILS[reason]}`)
    this.reason = reason
  }
}

/**
 * An event whose delivery nobody confirmed: it may or may not be in the log. `event` has the id and
 * the `at` that were made for it, so adding it again can never count it twice.
 */
export class NotDeliveredError extends CountersinkError {
  readonly event: EventInput

  constructor(event: EventInput, message: string, cause: unknown, retryable: boolean) {
    super('NOT_DELIVERED', message, { cause, retryable })
    this.event = event
  }
}
