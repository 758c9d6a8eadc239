import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { readContracts, rejectsMisrouted } from '@countersink/shared/contracts'
import { type CountersinkError, messageOf } from '@countersink/shared/errors'
import { createHttpServer } from '@countersink/shared/http/server'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import { createConsumer } from '@countersink/shared/kafka/consumer'
import type { Logger } from '@countersink/shared/log'
import { createPool, generationSchema } from '@countersink/shared/postgres/pool'
import { createCommitter } from './committer.ts'
import type { Config } from './config.ts'
import { createCooler } from './cooler.ts'
import { hashKeyOf } from './core/keyed-hash.ts'
import { createHotKeyWatch } from './hot-key-watch.ts'
import { createIntake } from './intake.ts'
import { createKeeper } from './keeper.ts'
import { LIMITS } from './limits.ts'
import { createMetrics } from './metrics.ts'
import { Ownership } from './ownership.ts'
import { CounterIds } from './postgres/counter-ids.ts'
import { readGeneration } from './postgres/generation.ts'
import { readiness } from './readiness.ts'
import { createRoutingKeeper } from './routing-keeper.ts'
import { createWriterConnection } from './writer-connection.ts'

export type Aggregator = {
  start(): Promise<{ port: number }>
  /** Commits what was folded, hands the partitions over, and closes everything; bounded, idempotent. */
  stop(): Promise<void>
}

const FETCH_WAIT_MS_MAX = 500
/** Shorter than a live commit's cycle. What comes waits for its fetch for half of it on average. */
const FETCH_PACE_MS_MAX = 8
const FETCH_BYTES_MAX = 32 * 1024 * 1024
const POOL_CONNECTIONS_MAX = 4
/** Ids of live partitions are asked for while others load on the connections above. */
const COLD_CONNECTIONS_MAX = 2

/** Waits for work that is given up, not ended, after a bound. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const bound = new AbortController()
  const late = sleep(ms, undefined, { signal: bound.signal }).catch(() => undefined)
  try {
    await Promise.race([work, late])
  } finally {
    bound.abort()
  }
}

/**
 * One aggregator process, wired together: Kafka's consumer group says which partitions are ours,
 * ownership claims and loads them, the intake folds what is fetched, the committer commits it, and
 * the keeper looks after all of them once a second. `onFatal` is called when only a new process, or
 * a person, can help.
 */
export async function createAggregator(
  config: Config,
  logger: Logger,
  onFatal: (error: CountersinkError) => void,
): Promise<Aggregator> {
  const { brokers, topic, databaseUrl } = config
  const contracts = readContracts(config.contractsPath)
  const pool = createPool({
    databaseUrl,
    applicationName: 'countersink-aggregator',
    connectionsMax: POOL_CONNECTIONS_MAX,
    statementTimeoutMs: LIMITS.statementMsMax,
    idleInTransactionTimeoutMs: LIMITS.idleInTransactionMsMax,
    logger,
  })
  const { generation, secret } = await readGeneration(pool, topic)
  const schema = generationSchema(generation)
  const clientId = `countersink-aggregator-${hostname()}-${process.pid}`
  const admin = createKafkaAdmin({ brokers, clientId, logger })
  const counterIds = new CounterIds(schema)
  const ownership: Ownership = new Ownership({
    schema,
    owner: clientId,
    pool,
    hashKey: hashKeyOf(secret),
    contracts,
    counterIds,
    logger,
    readLogBounds: async () => {
      const [starts, ends] = await Promise.all([admin.startOffsets(topic), admin.endOffsets(topic)])
      return { starts, ends }
    },
    routing: () => routing.versions(),
    loadRoom: (owned) => cooler.loadRoom(owned),
    onHalted: () => metrics.onHalted(),
  })
  const coldPool = createPool({
    databaseUrl,
    applicationName: 'countersink-aggregator-ids',
    connectionsMax: COLD_CONNECTIONS_MAX,
    statementTimeoutMs: LIMITS.statementMsMax,
    idleInTransactionTimeoutMs: LIMITS.idleInTransactionMsMax,
    logger,
  })
  const cooler = createCooler({
    schema,
    pool: coldPool,
    ownership,
    counterIds,
    idsBytesMax: config.idsBytesMax,
    logger,
    onLookedUp: (count, falsePositives) => metrics.onLookedUp(count, falsePositives),
  })
  const hotKeys = createHotKeyWatch({ ...config.hotKeys, ownership })
  const routing = createRoutingKeeper({
    brokers,
    clientId,
    topic,
    contracts,
    times: config.routingTimes,
    admin,
    logger,
    isOwner: () => ownership.loaded().length > 0,
    hotKeys: (table) => hotKeys.wished(table),
    onPublished: () => metrics.onRoutingTold(),
  })
  const metrics = createMetrics(ownership, () => routing.lastVersion())
  const connection = createWriterConnection(databaseUrl, logger)
  const committer = createCommitter({
    schema,
    ownership,
    counterIds,
    connection,
    liveIntervalMs: config.commitIntervalMs,
    logger,
    onCommitted: (report) => metrics.onCommitted(report),
    onRetried: () => metrics.onRetried(),
    onSealed: () => cooler.sealed(),
    onFenced(owned) {
      metrics.onFenced()
      keeper.fenced(owned)
    },
  })
  const intake = createIntake({
    ownership,
    committer,
    cooler,
    idsAreBounded: config.idsBytesMax < Infinity,
    logger,
    onDoubt: (owned) => keeper.fenced(owned),
    untilPlaced: rejectsMisrouted(contracts) ? () => routing.fresh() : undefined,
  })
  const consumer = createConsumer({
    brokers,
    clientId,
    groupId: config.groupId,
    topic,
    sessionTimeoutMs: config.sessionTimeoutMs,
    heartbeatIntervalMs: Math.max(250, Math.floor(config.sessionTimeoutMs / 4)),
    rebalanceTimeoutMs: config.rebalanceTimeoutMs,
    // We listen there before we join, so nobody else lives who did; 0 is any port that is free.
    soleName: config.port === 0 ? undefined : soleName(config),
    maxBytesPerPartition: config.fetchBytesPerPartition,
    maxWaitMs: FETCH_WAIT_MS_MAX,
    fetchPaceMs: Math.min(FETCH_PACE_MS_MAX, config.commitIntervalMs),
    maxBytes: FETCH_BYTES_MAX,
    logger,
    hooks: {
      onAssigned: async (added) => await keeper.assigned(added),
      onRevoked: (partitions) => keeper.revoked(partitions),
      onBatch: async (batch) => {
        await intake.take(batch)
        batch.release()
      },
      onOutOfRange: async (partition, offset, why) =>
        await intake.outOfRange(partition, offset, why),
    },
  })
  const keeper = createKeeper({
    ...{ schema, pool, ownership, committer, consumer, logger, onFatal },
    sweep: async () => await cooler.sweep(),
  })
  const http = createHttpServer({
    host: config.host,
    port: config.port,
    logger,
    metrics: metrics.registry,
    readiness: () => readiness(ownership, connection, consumer, committer),
  })

  /** Every step has its bound: a server that stands still must not keep us until we are killed. */
  async function stop(): Promise<void> {
    await within(LIMITS.quiesceMsMax, consumer.quiesce())
    await committer.stop()
    await within(LIMITS.leaveMsMax, consumer.stop())
    const closing = [
      keeper.stop(),
      routing.stop(),
      http.stop(),
      admin.stop(),
      connection.stop(),
      cooler.stop().then(async () => await coldPool.end()),
      pool.end(),
    ]
    await within(LIMITS.closeMsMax, Promise.all(closing))
  }

  let stopping: Promise<void> | undefined
  return {
    async start() {
      const listening = await http.start()
      committer.start()
      keeper.start()
      routing.start()
      await consumer.start()
      return listening
    },
    async stop() {
      stopping ??= stop().catch((error: unknown) => {
        logger.error({ reason: messageOf(error) }, 'stopping did not go well')
      })
      await stopping
    },
  }
}

function soleName({ host, port }: Config): string {
  return `countersink-aggregator-${hostname()}/${host}:${port}`
}
