import { RequestFault } from './request-fields.ts'
import type { BodyOptions } from '@countersink/shared/http/body'
import type { EndsWatch } from '../kafka/ends-watch.ts'
import type { RoutingWatch } from '../kafka/routing-watch.ts'
import type { World } from '../postgres/world.ts'
import { worldAfter, type ReadBounds, type ReadContext } from '../read/reader.ts'
import { parsePosition } from '@countersink/shared/position'

/** What the handlers of all routes share. */
export type RouteContext = ReadContext & {
  ends: EndsWatch
  routing: RoutingWatch
  body: BodyOptions
  /** How long a request may wait: for the position in `after`, for a reload, for the database. */
  waitMsMax: number
}

/** `after` and how long this request may wait for it. Throws POSITION_INVALID. */
export function boundsOf(
  { waitMsMax }: RouteContext,
  query: ReadonlyMap<string, string>,
): ReadBounds {
  const after = query.get('after')
  return {
    after: after === undefined ? undefined : parsePosition(after),
    deadline: Date.now() + waitMsMax,
  }
}

/** The world that a request which reads from the database alone begins with. */
export function worldFor(
  context: RouteContext,
  query: ReadonlyMap<string, string>,
): Promise<World> {
  const { after, deadline } = boundsOf(context, query)
  return worldAfter(context.tail, after, deadline)
}

export function unknownCounter(counter: string): RequestFault {
  return new RequestFault({
    status: 404,
    code: 'unknown-counter',
    detail: 'no event of this counter has been counted',
    extra: { counter },
  })
}
