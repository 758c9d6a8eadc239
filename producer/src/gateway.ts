import { setTimeout as sleep } from 'node:timers/promises'
import { readContracts } from '@countersink/shared/contracts'
import { messageOf } from '@countersink/shared/errors'
import { type EventInput, eventFields, isObject } from '@countersink/shared/event'
import { createHttpServer } from '@countersink/shared/http/server'
import { sendProblem } from '@countersink/shared/http/problem'
import type { Logger } from '@countersink/shared/log'
import { type InvalidReason, REASON_DETAILS } from '@countersink/shared/reasons'
import type { GatewayConfig } from './gateway-config.ts'
import { createGatewayMetrics } from './gateway-metrics.ts'
import { GATEWAY_OPENAPI } from './gateway-openapi.ts'
import {
  ingestAnswer,
  type IngestResult,
  ingestStatus,
  NOT_DELIVERED_CODE,
} from './ingest-answer.ts'
import { readIngest } from './ingest-request.ts'
import { createKafkaProbe } from './kafka-probe.ts'
import { createProducer, InvalidEventError, NotDeliveredError, type Producer } from './producer.ts'

export type Gateway = {
  /** Resolves when it listens; Kafka may come later, until then it is not ready. */
  start: () => Promise<{ port: number }>
  /** Answers what is in flight, flushes, closes. Idempotent. */
  stop: () => Promise<void>
}

const CONNECT_PAUSE_MS = 500

/** The HTTP service that takes events and answers once Kafka has them. */
export function createGateway(config: GatewayConfig, logger: Logger): Gateway {
  const topic = config.COUNTERSINK_TOPIC
  const brokers = config.KAFKA_BROKERS
  const contracts = readContracts(config.COUNTERSINK_CONTRACTS)
  const producer = createProducer({
    brokers,
    topic,
    clientId: 'countersink-gateway',
    format: config.EVENT_FORMAT,
    lingerMs: config.LINGER_MS,
    deliveryTimeoutMs: config.DELIVERY_TIMEOUT_MS,
    logger,
    contracts,
  })
  const metrics = createGatewayMetrics(() => producer.stats())
  const probe = createKafkaProbe({ brokers, topic, logger })
  const server = createHttpServer({
    host: config.HOST,
    port: config.PORT,
    logger,
    metrics: metrics.registry,
    openapi: GATEWAY_OPENAPI,
    readiness: () => readiness(probe.state(), producer),
    limits: {
      bodyBytesMax: config.BODY_BYTES_MAX,
      inflatedBytesMax: config.BODY_BYTES_MAX,
      bodyBytesInFlightMax: config.BODY_BYTES_IN_FLIGHT_MAX,
    },
  })
  const stopping = new AbortController()

  server.app.post('/v1/events', async (request, reply) => {
    const eventsMax = config.EVENTS_PER_REQUEST_MAX
    const ingest = await readIngest(request, { ...server.body, eventsMax })
    if (!ingest.ok) return sendProblem(reply, ingest.problem)
    try {
      const adding = ingest.items.map((item) => deliver(producer, item, ingest.cloud))
      const answer = ingestAnswer(topic, await Promise.all(adding))
      for (const result of answer.results) {
        metrics.count(result.status === 'accepted' ? 'accepted' : result.code)
      }
      const status = ingestStatus(answer)
      if (typeof status === 'number') return await reply.code(status).send(answer)
      return sendProblem(reply, status)
    } finally {
      ingest.release()
    }
  })

  /** A broker that is away when the gateway starts is waited for, as one that goes away later is. */
  async function connect(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await producer.start()
        return
      } catch (error) {
        logger.warn({ err: error }, 'Kafka or the topic is not there yet')
        await sleep(CONNECT_PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
      }
    }
  }

  async function stop(): Promise<void> {
    stopping.abort()
    await server.stop()
    const [{ undelivered }] = await Promise.all([producer.stop(), probe.stop()])
    if (undelivered.length > 0) {
      logger.error({ events: undelivered.length }, 'events were not delivered before the stop')
    }
  }

  let stopped: Promise<void> | undefined
  return {
    async start() {
      probe.start()
      void connect()
      return await server.start()
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

/** Without an acknowledgement for this long while events wait, nothing makes progress. */
const STALL_MS_MAX = 5_000

function readiness(kafka: string, producer: Producer) {
  const { partitions, oldestBufferedMs } = producer.stats()
  const seconds = Math.round(oldestBufferedMs / 1000)
  const checks = {
    kafka,
    producer: partitions > 0 ? 'ok' : 'not connected yet',
    progress: oldestBufferedMs > STALL_MS_MAX ? `an event has waited for ${seconds} s` : 'ok',
  }
  return { ready: Object.values(checks).every((state) => state === 'ok'), checks }
}

/** Sends one element of a request to Kafka; whatever happens is a result. */
async function deliver(producer: Producer, item: unknown, cloud: boolean): Promise<IngestResult> {
  const id = isObject(item) && typeof item['id'] === 'string' ? item['id'] : null
  const found = eventFields(item)
  if (!found.ok) return rejected(id, found.reason)
  if (cloud && !(isObject(item) && Object.hasOwn(item, 'specversion'))) {
    return rejected(id, 'bad-cloud-event')
  }
  try {
    // add() checks every field itself, so that unchecked ones may be given to it.
    const receipt = await producer.add(found.fields as EventInput)
    const result = { id: id ?? receipt.id, status: 'accepted', position: receipt.position } as const
    return { result, position: receipt.positionFields() }
  } catch (error) {
    return refusal(id, error)
  }
}

function refusal(id: string | null, error: unknown): IngestResult {
  if (error instanceof InvalidEventError) return rejected(id, error.reason)
  const detail = messageOf(error)
  const result = {
    id,
    status: 'rejected',
    code: NOT_DELIVERED_CODE,
    detail,
    retryable: true,
  } as const
  if (!(error instanceof NotDeliveredError)) return { result }
  const { id: madeId, at } = error.event
  const made = { id: id ?? madeId ?? null, ...(typeof at === 'number' && { at }) }
  return { result: { ...result, ...made } }
}

function rejected(id: string | null, reason: InvalidReason): IngestResult {
  return { result: { id, status: 'rejected', code: reason, detail: REASON_DETAILS[reason] } }
}
