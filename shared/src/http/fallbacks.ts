import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { problemOfError, sendProblem } from './problem.ts'
import { createRoutesTable } from './routes-table.ts'

/** What is answered where no handler does: 404, 405 with Allow, and the problem of a thrown error. */
export function addFallbacks(app: FastifyInstance): void {
  const routes = createRoutesTable()
  app.addHook('onRoute', ({ url, method }) => routes.add(url, [method].flat()))

  app.setNotFoundHandler((request, reply) => {
    const allow = routes.methodsOf(request.url.split('?', 1)[0] ?? '').join(', ')
    if (allow === '') {
      return sendProblem(reply, { status: 404, code: 'not-found', detail: 'there is no such path' })
    }
    return sendProblem(reply, {
      status: 405,
      code: 'method-not-allowed',
      detail: `this path knows ${allow} only`,
      headers: { allow },
    })
  })
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOfError(error)
  if (problem.status >= 500) request.log.error({ err: error }, 'a request failed')
  return sendProblem(reply, problem)
}
