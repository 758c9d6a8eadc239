import { createHash } from 'node:crypto'
import { formatDuration } from '@countersink/shared/duration'
import type { FastifyInstance } from 'fastify'
import { formatTime, planWindows, type WindowPlan } from '../core/window-range.ts'
import { readTotals } from '../read/totals.ts'
import { latenessMs, readSeriesWindows } from '../read/windows.ts'
import { freshnessFields, partitionsAsked } from './answer-fields.ts'
import { badQuery, counterOf, dimsOf, keyOf, queryOf } from './request-fields.ts'
import { boundsOf, unknownCounter, type RouteContext } from './route-context.ts'

type KeyParams = { Params: { counter: string; key: string } }

/** One series: its total and its windows. */
export function addSeriesRoutes(app: FastifyInstance, context: RouteContext): void {
  app.get<KeyParams>('/v1/counters/:counter/keys/:key', async (request, reply) => {
    const query = queryOf(request, ['after', 'dims.'])
    const name = nameOf(request.params, query)
    const bounds = boundsOf(context, query)
    const { world, totals, position } = await readTotals(context, [name], bounds)
    const [total] = totals
    if (total === undefined) throw unknownCounter(name.counter)
    const { ends, routing } = context
    const asked = partitionsAsked(world, ends.seen, routing, name.counter, name.key, total.slots)
    const now = Date.now()
    const fresh = freshnessFields(world, ends.seen, total.info.counter, asked, position, now)
    const etag = weakTag(fresh.position, name.dims, String(total.total))
    reply.header('etag', etag).header('cache-control', 'no-cache')
    if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send()
    return reply.send({ ...shownName(name), total: String(total.total), ...fresh })
  })

  app.get<KeyParams>('/v1/counters/:counter/keys/:key/windows', async (request) => {
    const query = queryOf(request, ['after', 'dims.', 'from', 'to', 'step', 'tz'])
    const name = nameOf(request.params, query)
    const now = Date.now()
    const [from, to, step, tz] = ['from', 'to', 'step', 'tz'].map((field) => query.get(field))
    const windows = await readSeriesWindows(
      context,
      name,
      (sizes) => planWindows({ from, to, step, tz }, sizes, now),
      boundsOf(context, query),
    )
    if (windows === 'unknown-counter') throw unknownCounter(name.counter)
    if ('fault' in windows) throw badQuery(windows.fault)
    const { world, info, slots, plan, sums, position } = windows
    const lateness = await latenessMs(context, world, info.name)
    const { ends, routing } = context
    const asked = partitionsAsked(world, ends.seen, routing, name.counter, name.key, slots)
    const fresh = freshnessFields(world, ends.seen, info.counter, asked, position, now)
    const finalBefore = fresh.asOf === null ? 0 : Date.parse(fresh.asOf) - lateness
    return {
      ...shownName(name),
      from: formatTime(plan.from),
      to: formatTime(plan.to),
      step: formatDuration(plan.step),
      ...fresh,
      windows: shownWindows(plan, sums, finalBefore),
    }
  })
}

type Name = { counter: string; key: string; dims: string }

function nameOf(params: KeyParams['Params'], query: ReadonlyMap<string, string>): Name {
  return { counter: counterOf(params.counter), key: keyOf(params.key), dims: dimsOf(query) }
}

/** `dims` only where a breakdown was asked for. */
export function shownName({ counter, key, dims }: Name): Record<string, unknown> {
  return dims === '{}' ? { counter, key } : { counter, key, dims: JSON.parse(dims) as unknown }
}

/** All windows of the range, those without events too: a chart wants no holes. */
function shownWindows(
  { from, to, step }: WindowPlan,
  sums: ReadonlyMap<number, bigint>,
  finalBefore: number,
): { start: string; end: string; delta: string; state: 'final' | 'provisional' }[] {
  const count = Math.max(0, (to - from) / step)
  return Array.from({ length: count }, (_, i) => {
    const start = from + i * step
    const end = start + step
    return {
      start: formatTime(start),
      end: formatTime(end),
      delta: String(sums.get(start) ?? 0n),
      state: end <= finalBefore ? 'final' : 'provisional',
    }
  })
}

const TAG_CHARS = 22

/** Weak: `asOf` and `lagMs` go on by themselves while nothing else changes. */
function weakTag(...parts: string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
  return `W/"${digest.slice(0, TAG_CHARS)}"`
}

function matches(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((tag) => tag.trim() === etag)
}
