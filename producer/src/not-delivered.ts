import { CountersinkError } from '@countersink/shared/errors'
import type { EventInput } from '@countersink/shared/event'

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
