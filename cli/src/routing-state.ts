import { readRouting } from '@countersink/shared/kafka/routing-follower'
import { createLogger } from '@countersink/shared/log'
import { Router } from '@countersink/shared/router'
import { requireBrokers, requireTopic, type Settings } from './config.ts'

/** A person waits for the answer. */
const READ_MS_MAX = 5000

/** What the topic's routing versions are now. */
export async function readRouter(settings: Settings): Promise<Router> {
  const read = await readRouting({
    brokers: requireBrokers(settings),
    topic: requireTopic(settings),
    clientId: 'countersink-cli-routing',
    logger: createLogger('cli', 'silent'),
    startTimeoutMs: READ_MS_MAX,
  })
  const router = new Router()
  router.update(read.table, read.topicPartitions, read.begunAt)
  return router
}
