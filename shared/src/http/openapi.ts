/** Pieces of OpenAPI 3.1 that every service of ours has. */
export const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'Problem Details, RFC 9457',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'For a person: what is wrong' },
    code: { type: 'string', description: 'For a program: which problem it is' },
  },
} as const

/** A response with a problem; the document must have PROBLEM_SCHEMA as components.schemas.Problem. */
export function problemResponse(description: string) {
  const schema = { $ref: '#/components/schemas/Problem' }
  return { description, content: { 'application/problem+json': { schema } } }
}

const json = { 'application/json': { schema: { type: 'object' } } }

/** The paths that addOperations serves. */
export const OPERATION_PATHS = {
  '/healthz': {
    get: {
      summary: 'The process lives',
      responses: { 200: { description: 'It does', content: json } },
    },
  },
  '/readyz': {
    get: {
      summary: 'The service makes progress',
      responses: {
        200: { description: 'It does', content: json },
        503: problemResponse('It does not; `checks` says why'),
      },
    },
  },
  '/metrics': {
    get: {
      summary: 'Metrics in the format of Prometheus',
      responses: { 200: { description: 'Metrics', content: { 'text/plain': {} } } },
    },
  },
  '/openapi.json': {
    get: {
      summary: 'This document',
      responses: { 200: { description: 'OpenAPI 3.1', content: json } },
    },
  },
} as const
