import { createHttpServer } from '@countersink/shared/http/server'
import type { Readiness } from '@countersink/shared/http/operations'
import { messageOf } from '@countersink/shared/errors'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import type { Logger } from '@countersink/shared/log'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Config } from './config.ts'
import { openapi } from './http/openapi.ts'
import { addRoutes } from './http/routes.ts'
import { createEndsWatch } from './kafka/ends-watch.ts'
import { createRoutingWatch } from './kafka/routing-watch.ts'
import { createMetrics, watchMemory } from './metrics.ts'
import { createDatabase } from './postgres/database.ts'
import { prepareReads } from './postgres/first-reads.ts'
import { createTail, type Tail } from './postgres/tail.ts'

export type QueryService = {
  start(): Promise<{ port: number }>
  /** Lets requests under way finish, then ends everything. */
  stop(): Promise<void>
}

/** A tail that has not polled for so long stands still. */
const STILL_MS_MAX = 5_000
const KAFKA_CALL_TIMEOUT_MS = 2_000

/** The tail, the log's ends, the database and the server in front of them. */
export function createQueryService(config: Config, logger: Logger): QueryService {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const metrics = createMetrics(registry)
  const { DATABASE_URL: databaseUrl, COUNTERSINK_TOPIC: topic } = config
  const database = createDatabase(databaseUrl, logger)
  /** Once the first reads are as quick as later ones, or it was tried. */
  let isPrepared = false
  const tail = createTail({
    databaseUrl,
    topic,
    pollIntervalMs: config.POLL_INTERVAL_MS,
    pollIntervalMsMax: config.POLL_INTERVAL_MS_MAX,
    limits: {
      tailEntriesMax: config.TAIL_ENTRIES_MAX,
      pageCacheBytesMax: config.PAGE_CACHE_BYTES_MAX,
      seriesCacheBytesMax: config.SERIES_CACHE_BYTES_MAX,
    },
    metrics,
    logger,
    onLoaded: (generation) => void prepare(generation),
  })
  watchMemory(registry, tail)
  const kafka = createKafkaAdmin({
    brokers: config.KAFKA_BROKERS,
    clientId: 'countersink-query-api',
    logger,
    callTimeoutMs: KAFKA_CALL_TIMEOUT_MS,
  })
  const ends = createEndsWatch({ readEnds: () => kafka.endOffsets(topic), logger })
  const routing = createRoutingWatch({ brokers: config.KAFKA_BROKERS, topic, logger })
  const server = createHttpServer({
    host: config.HOST,
    port: config.PORT,
    logger,
    metrics: registry,
    readiness: () => readiness(tail, topic, isPrepared),
    openapi,
  })
  addRoutes(server.app, {
    database,
    tail,
    ends,
    routing,
    metrics,
    body: server.body,
    waitMsMax: config.WAIT_MS_MAX,
  })

  async function prepare(generation: number): Promise<void> {
    try {
      await prepareReads(database, generation)
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'the first reads may be slow')
    }
    isPrepared = true
  }

  let stopped: Promise<void> | undefined
  async function stop(): Promise<void> {
    await server.stop()
    await Promise.all([tail.stop(), ends.stop(), routing.stop(), database.stop()])
    await kafka.stop()
  }

  return {
    start() {
      tail.start()
      ends.start()
      routing.start()
      return server.start()
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

/**
 * Health is progress: the tail polls, and what it follows is loaded. Kafka is not needed to answer.
 * A database that counts another topic would refuse every position that a producer gives out.
 */
function readiness(tail: Tail, topic: string, isPrepared: boolean): Readiness {
  const still = tail.stillForMs()
  const world = tail.world()
  const checks = {
    tail: still > STILL_MS_MAX ? `has not polled for ${Math.round(still / 1000)} s` : OK,
    loaded: world === undefined ? 'the commit log is being loaded' : OK,
    reads: isPrepared ? OK : 'the statements of reads are being planned',
    topic:
      world === undefined || world.topic === topic
        ? OK
        : `the database counts the topic ${world.topic}, not ${topic}`,
  }
  return { ready: Object.values(checks).every((check) => check === OK), checks }
}

const OK = 'ok'
