import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HttpLimits } from './limits.ts'
import { type Problem, sendProblem } from './problem.ts'
import { checkRequest } from './request-check.ts'

export type Admission = { requestsInFlight: () => number }

const RETRY_AFTER_S = 1
/** These stay open under load: who looks at a service must see how it is. */
const OPERATIONS = new Set(['/healthz', '/readyz', '/metrics'])

/** Decides on each request before its handler does, and counts those that are not answered yet. */
export function admitRequests(
  app: FastifyInstance,
  limits: HttpLimits,
  closing: AbortSignal,
): Admission {
  let inFlight = 0

  app.addHook('onRequest', (request, reply, done) => {
    inFlight++
    reply.raw.once('close', () => {
      inFlight--
      // A kept-alive connection would hold up stop() although nothing is in flight on it.
      if (closing.aborted) setImmediate(() => app.server.closeIdleConnections())
    })
    reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
    const problem = refusal(request)
    if (problem === undefined) done()
    else sendProblem(reply, problem)
  })

  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing.aborted) reply.header('connection', 'close')
    done()
  })

  function refusal(request: FastifyRequest): Problem | undefined {
    if (closing.aborted) return busy('stopping', 'the service is stopping')
    if (inFlight > limits.requestsInFlightMax && !OPERATIONS.has(request.url)) {
      return busy('overloaded', 'too many requests are being handled')
    }
    return checkRequest(request, limits)
  }

  return { requestsInFlight: () => inFlight }
}

function busy(code: string, detail: string): Problem {
  return { status: 503, code, detail, retryAfterS: RETRY_AFTER_S }
}
