import { type Moment, Router } from '@countersink/shared/router'
import { emptyRoutingTable } from '@countersink/shared/routing-table'

/** For tests: what routes a topic of so many partitions for which no version was told. */
export function routerOf(partitions: number, nowMs: number): Router {
  const now: Moment = { wallMs: nowMs, monotonicMs: 0 }
  const router = new Router(() => now)
  router.update(emptyRoutingTable('topic'), partitions, now)
  return router
}
