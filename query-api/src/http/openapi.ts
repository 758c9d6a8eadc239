import { WINDOWS_MAX } from '../core/window-range.ts'
import { LIST_LIMIT_MAX } from './list-routes.ts'
import { schemas, shown } from './openapi-schemas.ts'
import { TOTALS_MAX } from './totals-route.ts'

type Parameter = Record<string, unknown>

const text = { type: 'string' }

function path(name: string, description: string, schema: object = text): Parameter {
  return { name, in: 'path', required: true, description, schema }
}

function query(name: string, description: string, schema: object = text): Parameter {
  return { name, in: 'query', description, schema }
}

const counter = path('counter', 'Name of a counter, percent-encoded')
const key = path('key', 'Key, percent-encoded and otherwise exactly as in its events')
const after = query(
  'after',
  'A position, as a receipt or an answer gave it: the answer is at least as new. Waits for it, and says 503 with Retry-After when that takes too long.',
)
const dims = query(
  'dims',
  'A breakdown, one parameter a dim: `dims.country=de`. Without any the answer is the total.',
  { type: 'object', additionalProperties: text },
)
const cursor = query('cursor', 'The `cursor` of the page before')
const limit = query('limit', 'Entries in a page', {
  type: 'integer',
  minimum: 1,
  maximum: LIST_LIMIT_MAX,
  default: 100,
})
const time = 'RFC 3339 or epoch milliseconds'

function answer(description: string, schema: string): Record<string, unknown> {
  return { description, content: { 'application/json': { schema: shown(schema) } } }
}

function problem(description: string): Record<string, unknown> {
  return { description, content: { 'application/problem+json': { schema: shown('Problem') } } }
}

const refusals = {
  400: problem('The request cannot be answered as it is; `detail` says what to change'),
  503: problem('Not now: try again after Retry-After seconds'),
}
const unknownCounter = { 404: problem('No event of this counter has been counted') }

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Countersink query API',
    version: '1',
    description:
      'Totals and windows that are counted exactly once, each with how fresh it is. 64-bit sums are decimal strings.',
  },
  paths: {
    '/v1/counters': {
      get: {
        summary: 'The counters',
        parameters: [cursor, limit, after],
        responses: { 200: answer('A page of counters', 'Counters'), ...refusals },
      },
    },
    '/v1/counters/{counter}/keys': {
      get: {
        summary: 'The keys of a counter, in the order of their bytes',
        parameters: [counter, query('prefix', 'What the keys begin with'), cursor, limit, after],
        responses: { 200: answer('A page of keys', 'Keys'), ...unknownCounter, ...refusals },
      },
    },
    '/v1/counters/{counter}/keys/{key}': {
      get: {
        summary: 'The total of a key; "0" for one that was never counted',
        parameters: [counter, key, dims, after],
        responses: {
          200: answer('The total', 'Total'),
          304: { description: 'Nothing has moved since the ETag given in If-None-Match' },
          ...unknownCounter,
          ...refusals,
        },
      },
    },
    '/v1/counters/{counter}/keys/{key}/windows': {
      get: {
        summary: 'The windows of a key, those without events included',
        parameters: [
          counter,
          key,
          dims,
          query('from', `${time}; 60 steps before \`to\` by default`),
          query('to', `${time}; the end of the current window by default`),
          query(
            'step',
            'A multiple of a kept window size, such as 1m, 15m, 1h, 1d; the finest kept by default',
          ),
          query('tz', 'Only UTC so far'),
          after,
        ],
        responses: {
          200: answer(`The windows that lie inside [from, to), at most ${WINDOWS_MAX}`, 'Windows'),
          ...unknownCounter,
          ...refusals,
        },
      },
    },
    '/v1/totals': {
      post: {
        summary: `Totals of up to ${TOTALS_MAX} series, all at one position`,
        parameters: [after],
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: { type: 'array', maxItems: TOTALS_MAX, items: shown('Series') },
            },
          },
        },
        responses: { 200: answer('The totals, in the order asked for', 'Totals'), ...refusals },
      },
    },
    '/v1/status': {
      get: {
        summary: 'How far every partition is counted, and what became of its events',
        parameters: [after],
        responses: { 200: answer('All partitions', 'Status'), 503: refusals[503] },
      },
    },
    '/v1/partitions/{partition}/outcomes': {
      get: {
        summary: 'The events of a range of offsets that were not applied',
        description:
          'An offset from `from` up to `next` that is neither listed nor in a gap was applied. While `next` is less than `to`, ask again from there.',
        parameters: [
          path('partition', 'Number of a partition', { type: 'integer' }),
          query('from', 'First offset', { type: 'integer' }),
          query('to', 'Offset after the last', { type: 'integer' }),
          after,
        ],
        responses: {
          200: answer('The outcomes', 'Outcomes'),
          404: problem('Nothing of this partition has been counted'),
          ...refusals,
        },
      },
    },
  },
  components: { schemas },
}
