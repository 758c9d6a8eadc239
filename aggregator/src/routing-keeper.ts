import { setTimeout as sleep } from 'node:timers/promises'
import type { Contracts } from '@countersink/shared/contracts'
import { messageOf } from '@countersink/shared/errors'
import type { KafkaAdmin } from '@countersink/shared/kafka/admin'
import { createKafkaProducer } from '@countersink/shared/kafka/producer'
import { createRoutingFollower, type RoutingRead } from '@countersink/shared/kafka/routing-follower'
import {
  ensureRoutingTopic,
  routingRecord,
  routingTopicOf,
} from '@countersink/shared/kafka/routing-topic'
import type { Logger } from '@countersink/shared/log'
import { Router } from '@countersink/shared/router'
import type { RoutingTable, RoutingTimes } from '@countersink/shared/routing-table'
import { RoutingVersions } from './core/routing/placement.ts'
import { planRouting, type RoutingPlan, type RoutingWish } from './core/routing/routing-plan.ts'
import { LIMITS } from './limits.ts'

export type RoutingKeeperOptions = {
  brokers: string[]
  clientId: string
  topic: string
  contracts: Contracts
  times: RoutingTimes
  admin: Pick<KafkaAdmin, 'createTopic'>
  logger: Logger
  /** Whether partitions are ours: who has none tells nothing. */
  isOwner(): boolean
  /** Keys that are hot by now, with the ways that they should have. */
  hotKeys(table: RoutingTable): RoutingWish['hot']
  onPublished(): void
}

export type RoutingKeeper = {
  start(): void
  /** What decides where events belong, once it was read; kept up to date. */
  versions(): Promise<RoutingVersions>
  /** Resolves when the versions are within their lease. */
  fresh(): Promise<void>
  /** The number of the last version told; 0 when there is none. */
  lastVersion(): number
  stop(): Promise<void>
}

/**
 * Follows the routing versions of the topic and tells new ones: the first, when the topic has got
 * partitions, when a contract spreads a counter, when keys are hot. Any number of aggregators may
 * do so at once: each plans from what the log says, and of two versions with one number the first
 * in the log counts for everybody; who lost plans again.
 */
export function createRoutingKeeper(options: RoutingKeeperOptions): RoutingKeeper {
  const { brokers, clientId, topic, times, logger } = options
  const router = new Router()
  const versions = new RoutingVersions()
  const known = Promise.withResolvers<RoutingVersions>()
  const stopping = new AbortController()
  let read: RoutingRead | undefined
  let looked = Promise.withResolvers<void>()
  let running: Promise<void> | undefined
  /** How far the broker's clock is ahead of ours, as its last answer said. */
  let brokerAheadMs = 0
  const follower = createRoutingFollower({ brokers, clientId, topic, logger, onRead })
  // A version that is late does not count, so that trying for long is of no use.
  const deliveryTimeoutMs = LIMITS.routingAppendMsMax
  const producer = createKafkaProducer({ brokers, clientId, logger, deliveryTimeoutMs })

  function onRead(now: RoutingRead): void {
    const before = read?.table.versions.length
    router.update(now.table, now.topicPartitions, now.begunAt)
    versions.set(router.versions)
    read = now
    known.resolve(versions)
    looked.resolve()
    looked = Promise.withResolvers<void>()
    const last = now.table.versions.at(-1)
    if (last === undefined || now.table.versions.length === before) return
    const { version, effectiveAt, partitions, spreads } = last
    const from = new Date(effectiveAt).toISOString()
    logger.info({ version, from, partitions, spreads: spreads.length }, 'routing version')
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        if (read === undefined) await follower.start()
        else if (options.isOwner()) await step(read)
      } catch (error) {
        if (stopping.signal.aborted) return
        logger.warn(
          { reason: messageOf(error) },
          'the routing could not be looked after, once more',
        )
      }
      await sleep(LIMITS.routingCheckMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  async function step({ exists, table }: RoutingRead): Promise<void> {
    if (!exists) {
      await ensureRoutingTopic(options.admin, topic)
      await follower.refresh()
      return
    }
    if (plan(table) === undefined) return
    // Planned from the end of the log: what others have told meanwhile is not told again.
    await follower.refresh()
    const next = read === undefined ? undefined : plan(read.table)
    if (next !== undefined) await publish(next)
  }

  function plan(table: RoutingTable): RoutingPlan | undefined {
    const appendedByMs = Date.now() + brokerAheadMs + LIMITS.routingAppendMsMax
    const partitions = read?.topicPartitions ?? 0
    const { contracts } = options
    const hot = options.hotKeys(table)
    return planRouting(table, { partitions, contracts, hot, times, appendedByMs })
  }

  async function publish(next: RoutingPlan): Promise<void> {
    const record = routingRecord({ ...next, by: clientId })
    const sentAtMs = Date.now()
    await producer.start()
    const { logAppendTimeMs } = await producer.send(routingTopicOf(topic), 0, [record])
    brokerAheadMs = Math.max(0, logAppendTimeMs - sentAtMs)
    await follower.refresh()
    const told = read?.table.versions.find(({ version }) => version === next.version)
    const { version, effectiveAt, why } = next
    const won = told?.effectiveAt === effectiveAt
    logger.info({ version, effectiveAt, why, won }, 'routing version told')
    if (won) options.onPublished()
  }

  return {
    start() {
      running ??= run()
    },
    versions: () => known.promise,
    async fresh() {
      while (!router.isFresh() && !stopping.signal.aborted) await looked.promise
    },
    lastVersion: () => router.table.versions.at(-1)?.version ?? 0,
    async stop() {
      stopping.abort()
      looked.resolve()
      await Promise.all([follower.stop(), producer.stop(), running])
    },
  }
}
