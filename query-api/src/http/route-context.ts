import { RequestFault } from './request-fields.ts'
import type { BodyOptions } from '@countersink/shared/http/body'
import type { EndsWatch } from '../kafka/ends-watch.ts'
import type { ReadContext } from '../read/reader.ts'

/** What the handlers of all routes share. */
export type RouteContext = ReadContext & {
  ends: EndsWatch
  body: BodyOptions
  /** How long a request may wait: for the position in `after`, for a reload, for the database. */
  waitMsMax: number
}

export function deadlineFrom({ waitMsMax }: RouteContext): number {
  return Date.now() + waitMsMax
}

export function unknownCounter(counter: string): RequestFault {
  return new RequestFault({
    status: 404,
    code: 'unknown-counter',
    detail: 'no event of this counter has been counted',
    extra: { counter },
  })
}
