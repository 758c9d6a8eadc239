import type { BulkPart } from './bulk-part.ts'
import type { PendingEvent } from './pending-event.ts'

/** Where something is: waiting for room, in its lane, on its way to the broker, or settled. */
export type Place = 'waiting' | 'lane' | 'flight' | 'settled'

/** What goes through the buffer: an event of add(), or what one addMany() put into one record. */
export type Pending = PendingEvent | BulkPart
