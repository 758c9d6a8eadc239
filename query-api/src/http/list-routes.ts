import { formatDuration } from '@countersink/shared/duration'
import { LIMITS } from '@countersink/shared/event'
import type { FastifyInstance } from 'fastify'
import { formatCursor, parseCursor } from '../core/cursor.ts'
import { listCounters } from '../postgres/counters-query.ts'
import { listKeys } from '../postgres/keys-query.ts'
import { resolveCounters } from '../read/series.ts'
import { allPartitions, freshnessFields } from './answer-fields.ts'
import { badQuery, counterOf, isText, limitOf, queryOf } from './request-fields.ts'
import { worldFor, unknownCounter, type RouteContext } from './route-context.ts'

export const LIST_LIMIT_MAX = 1_000
const LIST_LIMIT_DEFAULT = 100

/** The counters, and the keys of one. Lists are read from the database each time, never cached. */
export function addListRoutes(app: FastifyInstance, context: RouteContext): void {
  const { database, ends } = context

  app.get('/v1/counters', async (request) => {
    const query = queryOf(request, ['after', 'cursor', 'limit'])
    const limit = limitOf(query, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT)
    const world = await worldFor(context, query)
    const position = world.state.positions()
    const begin = cursorOf(query, world.secret, ['counters']) ?? ''
    const found = await listCounters(database, world.state.generation, begin, limit + 1)
    const shown = found.slice(0, limit)
    const last = found.length > limit ? shown.at(-1)?.name : undefined
    return {
      counters: shown.map(({ name, sizes }) => ({
        counter: name,
        windows: sizes.map(formatDuration),
      })),
      cursor: last === undefined ? null : formatCursor(world.secret, ['counters'], last),
      ...freshnessFields(
        world,
        ends.seen,
        undefined,
        allPartitions(world, ends.seen),
        position,
        Date.now(),
      ),
    }
  })

  app.get<{ Params: { counter: string } }>('/v1/counters/:counter/keys', async (request) => {
    const query = queryOf(request, ['after', 'cursor', 'limit', 'prefix'])
    const limit = limitOf(query, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT)
    const counter = counterOf(request.params.counter)
    const prefix = query.get('prefix') ?? ''
    if (prefix !== '' && !isText(prefix, LIMITS.keyBytesMax)) {
      throw badQuery('no key begins with this prefix')
    }
    const world = await worldFor(context, query)
    const position = world.state.positions()
    const scope = ['keys', counter, prefix]
    const begin = cursorOf(query, world.secret, scope) ?? ''
    const info = (await resolveCounters(database, world, [counter])).get(counter)
    if (info === undefined) throw unknownCounter(counter)
    const { generation } = world.state
    const found = await listKeys(database, generation, info.counter, prefix, begin, limit + 1)
    const keys = found.slice(0, limit)
    const last = found.length > limit ? keys.at(-1) : undefined
    return {
      counter,
      keys,
      cursor: last === undefined ? null : formatCursor(world.secret, scope, last),
      ...freshnessFields(
        world,
        ends.seen,
        info.counter,
        allPartitions(world, ends.seen),
        position,
        Date.now(),
      ),
    }
  })
}

function cursorOf(
  query: ReadonlyMap<string, string>,
  secret: Uint8Array,
  scope: readonly string[],
): string | undefined {
  const cursor = query.get('cursor')
  if (cursor === undefined) return undefined
  const after = parseCursor(secret, scope, cursor)
  if (after === undefined) throw badQuery('the cursor is not one that this list has given')
  return after
}
