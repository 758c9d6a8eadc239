import type { OpenApiDocument } from '@countersink/shared/http/operations'
import { OPERATION_PATHS, problemResponse, PROBLEM_SCHEMA } from '@countersink/shared/http/openapi'
import { LIMITS } from '@countersink/shared/event'
import { INVALID_REASONS } from '@countersink/shared/reasons'

const text = (maxLength: number, description: string) => ({
  type: 'string',
  minLength: 1,
  maxLength,
  description,
})

const EVENT = {
  type: 'object',
  required: ['counter', 'key'],
  properties: {
    v: { const: 1, description: 'The version of this shape' },
    id: text(LIMITS.idBytesMax, 'Made when left out; a retry has to repeat it, and `at`'),
    counter: text(LIMITS.counterBytesMax, 'The family, such as video_views'),
    key: text(LIMITS.keyBytesMax, 'The one thing counted'),
    delta: {
      type: 'integer',
      default: 1,
      minimum: Number.MIN_SAFE_INTEGER,
      maximum: Number.MAX_SAFE_INTEGER,
    },
    at: {
      description: 'When it happened. Required with an id; else the time of arrival',
      oneOf: [
        { type: 'integer', minimum: 0, maximum: LIMITS.atMsMax, description: 'Epoch milliseconds' },
        { type: 'string', format: 'date-time' },
      ],
    },
    dims: {
      type: 'object',
      maxProperties: LIMITS.dimsMax,
      propertyNames: { minLength: 1, maxLength: LIMITS.dimNameBytesMax },
      additionalProperties: { type: 'string', maxLength: LIMITS.dimValueBytesMax },
    },
  },
}

const CLOUD_EVENT = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type', 'subject', 'time'],
  properties: {
    specversion: { const: '1.0' },
    id: { type: 'string' },
    source: { type: 'string', description: 'With `id` it makes the event id' },
    type: { type: 'string', description: 'The counter' },
    subject: { type: 'string', description: 'The key' },
    time: { type: 'string', format: 'date-time', description: 'The `at`' },
    data: {
      type: ['object', 'null'],
      properties: { delta: EVENT.properties.delta, dims: EVENT.properties.dims },
    },
  },
}

const POSITION = { type: 'string', description: 'For `after=` of the query API' }

const RESULT = {
  oneOf: [
    {
      type: 'object',
      required: ['id', 'status', 'position'],
      properties: { id: { type: 'string' }, status: { const: 'accepted' }, position: POSITION },
    },
    {
      type: 'object',
      required: ['id', 'status', 'code', 'detail'],
      properties: {
        id: { type: ['string', 'null'] },
        status: { const: 'rejected' },
        code: { enum: [...INVALID_REASONS, 'NOT_DELIVERED'] },
        detail: { type: 'string' },
        retryable: { const: true, description: 'The same event may be sent again' },
        at: { type: 'integer', description: 'To be repeated with the id' },
      },
    },
  ],
}

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const json = (type: string, schema: object) => ({ content: { [type]: { schema } } })
const answer = (description: string) => ({
  description,
  ...json('application/json', ref('Answer')),
})

const POST_EVENTS = {
  summary: 'Append events to the log; answers when Kafka has acknowledged them',
  description:
    'One event or a list, native or CloudEvents 1.0 (structured, batch, or binary by ce-* headers). ' +
    'The body may be gzip.',
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: { oneOf: [ref('Event'), { type: 'array', minItems: 1, items: ref('Event') }] },
      },
      'application/cloudevents+json': { schema: ref('CloudEvent') },
      'application/cloudevents-batch+json': {
        schema: { type: 'array', minItems: 1, items: ref('CloudEvent') },
      },
    },
  },
  responses: {
    202: answer('All events are in the log'),
    207: answer('Some events are in the log, the others were rejected'),
    400: problemResponse('No event is in the log; `results` says why of each'),
    408: problemResponse('The body was too slow'),
    413: problemResponse('The body is too large, or the list too long'),
    415: problemResponse('The content type or encoding is not one of ours'),
    503: problemResponse('Kafka does not acknowledge, or too much is in flight: send again'),
  },
}

export const GATEWAY_OPENAPI: OpenApiDocument = {
  openapi: '3.1.0',
  info: { title: 'Countersink gateway', version: '1' },
  paths: { '/v1/events': { post: POST_EVENTS }, ...OPERATION_PATHS },
  components: {
    schemas: {
      Event: EVENT,
      CloudEvent: CLOUD_EVENT,
      Answer: {
        type: 'object',
        required: ['results', 'position'],
        properties: { results: { type: 'array', items: RESULT }, position: POSITION },
      },
      Problem: PROBLEM_SCHEMA,
    },
  },
}
