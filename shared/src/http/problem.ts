import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import { CountersinkError, type ErrorCode } from '../errors.ts'

export const PROBLEM_CONTENT_TYPE = 'application/problem+json'

/** Problem Details (RFC 9457). `code` is for programs, `detail` for a person; both say what to change. */
export type Problem = {
  status: number
  code: string
  detail: string
  /** Sent as the Retry-After header: the same request may succeed later. */
  retryAfterS?: number
  /** Further headers, such as Allow. */
  headers?: Readonly<Record<string, string>>
  /** Further members of the body. */
  extra?: Readonly<Record<string, unknown>>
}

/** The JSON body of a problem. */
export function problemBody(problem: Problem): Record<string, unknown> {
  return {
    type: `urn:countersink:problem:${problem.code}`,
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.detail,
    code: problem.code,
    ...problem.extra,
  }
}

/** Answers a request with a problem: `return sendProblem(reply, {...})`. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.retryAfterS !== undefined) reply.header('retry-after', String(problem.retryAfterS))
  if (problem.headers !== undefined) reply.headers(problem.headers)
  return reply
    .code(problem.status)
    .type(PROBLEM_CONTENT_TYPE)
    .send(JSON.stringify(problemBody(problem)))
}

const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  POSITION_INVALID: 400,
  EVENT_INVALID: 400,
  KAFKA_UNAVAILABLE: 503,
  POSTGRES_UNAVAILABLE: 503,
  NOT_DELIVERED: 503,
  TIMED_OUT: 503,
  CLOSED: 503,
  LIMIT_REACHED: 503,
  PARTITION_HALTED: 503,
}

const CODE_OF: Partial<Record<number, string>> = {
  413: 'body-too-large',
  415: 'unsupported-content-type',
}

const RETRY_AFTER_S = 1

/**
 * The problem of anything thrown: our own errors by their code, fastify's by their status. What is
 * unknown is a 500 that tells nothing of the inside; its cause belongs into the log.
 */
export function problemOfError(error: unknown): Problem {
  if (error instanceof CountersinkError) {
    const status = STATUS_OF[error.code]
    if (status !== undefined) {
      const code = error.code.toLowerCase().replaceAll('_', '-')
      const problem: Problem = { status, code, detail: error.message }
      return status === 503 ? { ...problem, retryAfterS: RETRY_AFTER_S } : problem
    }
  }
  const status = statusOf(error)
  if (status >= 400 && status < 500 && error instanceof Error) {
    return { status, code: CODE_OF[status] ?? 'bad-request', detail: error.message }
  }
  return { status: 500, code: 'internal', detail: 'the service failed to answer; its log says why' }
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return 500
  return typeof error.statusCode === 'number' ? error.statusCode : 500
}
