import { sendProblem } from '@countersink/shared/http/problem'
import type { FastifyInstance } from 'fastify'
import { addListRoutes } from './list-routes.ts'
import { RequestFault } from './request-fields.ts'
import type { RouteContext } from './route-context.ts'
import { addSeriesRoutes } from './series-routes.ts'
import { addStartPage } from './start-page.ts'
import { addStatusRoutes } from './status-routes.ts'
import { addTotalsRoute } from './totals-route.ts'

export function addRoutes(app: FastifyInstance, context: RouteContext): void {
  void app.register((scope, _options, done) => {
    scope.setErrorHandler((error, _request, reply) => {
      if (error instanceof RequestFault) return sendProblem(reply, error.problem)
      // The server's own handler knows everything else.
      throw error
    })
    addListRoutes(scope, context)
    addSeriesRoutes(scope, context)
    addTotalsRoute(scope, context)
    addStatusRoutes(scope, context)
    addStartPage(scope)
    done()
  })
}
