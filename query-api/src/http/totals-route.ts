import { sendProblem } from '@countersink/shared/http/problem'
import { readJson } from '@countersink/shared/http/body'
import type { FastifyInstance } from 'fastify'
import { readTotals } from '../read/totals.ts'
import type { SeriesName } from '../read/series.ts'
import { freshnessFields, partitionsAsked } from './answer-fields.ts'
import { checkedDims, counterOf, keyOf, queryOf, RequestFault } from './request-fields.ts'
import { boundsOf, type RouteContext } from './route-context.ts'
import { shownName } from './series-routes.ts'

export const TOTALS_MAX = 1_000

/**
 * Totals of many series at one position: a list of `{counter, key, dims?}`. A counter that was never
 * counted has the total null there: one misspelt name must not spoil the others.
 */
export function addTotalsRoute(app: FastifyInstance, context: RouteContext): void {
  const { ends, routing } = context

  app.post('/v1/totals', async (request, reply) => {
    const query = queryOf(request, ['after'])
    const json = await readJson(request, context.body)
    if (!json.ok) return sendProblem(reply, json.problem)
    const names = namesOf(json.value)
    const bounds = boundsOf(context, query)
    const { world, totals, position } = await readTotals(context, names, bounds)
    const counters = new Set<number>()
    const asked = new Set<number>()
    for (const [i, total] of totals.entries()) {
      const name = names[i]!
      if (total !== undefined) counters.add(total.info.counter)
      const slots = total?.slots ?? []
      for (const partition of partitionsAsked(
        world,
        ends.seen,
        routing,
        name.counter,
        name.key,
        slots,
      )) {
        asked.add(partition)
      }
    }
    const counter = counters.size === 1 ? [...counters][0] : undefined
    return {
      totals: names.map((name, i) => {
        const total = totals[i]?.total
        return { ...shownName(name), total: total === undefined ? null : String(total) }
      }),
      ...freshnessFields(world, ends.seen, counter, asked, position, Date.now()),
    }
  })
}

function namesOf(value: unknown): SeriesName[] {
  if (!Array.isArray(value)) throw badBody('the body must be a list of {counter, key, dims?}')
  if (value.length > TOTALS_MAX) {
    throw badBody(`the list has ${value.length} entries, at most ${TOTALS_MAX} are answered`)
  }
  return value.map((entry: unknown, i) => {
    try {
      return nameOf(entry)
    } catch (error) {
      if (error instanceof RequestFault) throw badBody(`entry ${i}: ${error.message}`)
      throw error
    }
  })
}

function nameOf(entry: unknown): SeriesName {
  if (!isObject(entry)) throw badBody('not an object')
  const fields = new Map(Object.entries(entry))
  for (const name of fields.keys()) {
    if (!FIELDS.has(name)) throw badBody(`there is no field ${JSON.stringify(name)}`)
  }
  const dims = fields.get('dims') ?? {}
  if (!isObject(dims)) throw badBody('dims must be an object')
  return {
    counter: counterOf(fields.get('counter')),
    key: keyOf(fields.get('key')),
    dims: checkedDims(new Map(Object.entries(dims))),
  }
}

const FIELDS = new Set(['counter', 'key', 'dims'])

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function badBody(detail: string): RequestFault {
  return new RequestFault({ status: 400, code: 'bad-body', detail })
}
