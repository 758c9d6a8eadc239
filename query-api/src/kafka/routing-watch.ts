import { createRoutingFollower } from '@countersink/shared/kafka/routing-follower'
import type { Logger } from '@countersink/shared/log'
import { Router } from '@countersink/shared/router'
import { partitionsOfKey } from '@countersink/shared/routing-table'

export type RoutingWatch = {
  start(): void
  stop(): Promise<void>
  /** Where events of the key may wait; undefined while the routing is not known. */
  partitionsOf(counter: string, key: string): Set<number> | undefined
}

export type RoutingWatchOptions = {
  brokers: readonly string[]
  topic: string
  logger: Logger
}

/** Follows the routing versions: a version is told minutes before the first event that goes by it. */
export function createRoutingWatch(options: RoutingWatchOptions): RoutingWatch {
  const { logger } = options
  const router = new Router()
  const follower = createRoutingFollower({
    ...options,
    clientId: 'countersink-query-api-routing',
    onRead({ table, topicPartitions, begunAt }) {
      router.update(table, topicPartitions, begunAt)
    },
  })
  return {
    start() {
      // It goes on trying by itself, and says so.
      follower.start().catch((error: unknown) => {
        logger.warn({ err: error }, 'the routing is not known yet')
      })
    },
    stop: () => follower.stop(),
    partitionsOf(counter, key) {
      if (!router.isFresh()) return undefined
      return partitionsOfKey(router.versions, counter, key)
    },
  }
}
