import { setTimeout as sleep } from 'node:timers/promises'
import type { BrokerHandle } from 'kafkajs/internals'
import { CountersinkError, messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { backoffMs } from './backoff.ts'
import { createClusterClient } from './cluster-client.ts'
import type { Compression } from './codecs.ts'
import { kafkaErrorType, toCountersinkError } from './kafka-error.ts'
import { refusal, verdictOf } from './produce-errors.ts'
import {
  decodeProduceResponse,
  encodeProduceRequest,
  produceApiKey,
  produceApiVersion,
  type ProducedPartition,
} from './produce-request.ts'
import { createLane, type Attempt, type Delivered, type Lane } from './producer-lane.ts'
import { encodeRecordBatch, noStamp, type ProducerRecord } from './record-batch-encoder.ts'

export type { Delivered } from './producer-lane.ts'
export type { ProducerHeader, ProducerRecord } from './record-batch-encoder.ts'

const deliveryTimeoutMsDefault = 30_000
/** What may wait or be under way, in bytes; send() beyond it rejects with LIMIT_REACHED. */
const pendingBytesMax = 64 * 1024 * 1024
/** What one request carries; the broker's own limit is 100 MiB. */
const requestBytesMax = 8 * 1024 * 1024
/** How long the broker may wait for its replicas, and the answer may take after that. */
const brokerTimeoutMs = 5_000
const answerTimeoutMs = 3_000
const stopTimeoutMs = 5_000

export type KafkaProducerOptions = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly logger: Logger
  /** Whether the broker is to drop what retries repeat; true by default. */
  readonly idempotent?: boolean
  readonly compression?: Compression
  /** After this a send() fails, retryable: the records may or may not be in the log then. */
  readonly deliveryTimeoutMs?: number
}

/**
 * Writes records to partitions that the caller names. A partition has one batch under way at a
 * time, so that order and sequence numbers hold through every retry, and what waits behind it is
 * joined to the next; the batches of all partitions of a broker share its requests. Whatever is
 * reported as delivered is in the log, at least once; without the broker forgetting the producer,
 * exactly once.
 */
export type KafkaProducer = {
  start(): Promise<void>
  /** Waits (bounded) for what is pending, then fails the rest with CLOSED. Idempotent. */
  stop(): Promise<void>
  /** How many partitions the topic has; rejects with TOPIC_MISSING or KAFKA_UNAVAILABLE. */
  partitions(topic: string): Promise<number>
  /** Rejects with a CountersinkError, `retryable` when trying again can help. */
  send(topic: string, partition: number, records: readonly ProducerRecord[]): Promise<Delivered>
  /** The same for several partitions in as few requests as possible; never rejects. */
  sendBatch(
    topic: string,
    batches: ReadonlyMap<number, readonly ProducerRecord[]>,
  ): Promise<Map<number, Delivered | CountersinkError>>
}

export function createKafkaProducer(options: KafkaProducerOptions): KafkaProducer {
  const { logger } = options
  const idempotent = options.idempotent ?? true
  const compression = options.compression ?? 'none'
  const deliveryTimeoutMs = options.deliveryTimeoutMs ?? deliveryTimeoutMsDefault
  const client = createClusterClient(options)
  const lanes = new Map<string, Lane>()
  const topics = new Set<string>()
  let pendingBytes = 0
  let pumping = false
  let wanted = false
  let closed = false
  let stopping: Promise<void> | undefined
  let producerId: Promise<bigint> | undefined

  function laneOf(topic: string, partition: number): Lane {
    const name = `${partition}/${topic}`
    const lane = lanes.get(name) ?? createLane(topic, partition)
    lanes.set(name, lane)
    topics.add(topic)
    return lane
  }

  async function enqueue(
    topic: string,
    partition: number,
    records: readonly ProducerRecord[],
  ): Promise<Delivered> {
    if (stopping !== undefined) throw new CountersinkError('CLOSED', 'the producer is closed')
    if (pendingBytes > pendingBytesMax) {
      const message = `more than ${pendingBytesMax} bytes wait for Kafka`
      throw new CountersinkError('LIMIT_REACHED', message, { retryable: true })
    }
    if (records.length === 0) return { baseOffset: -1, logAppendTimeMs: -1 }
    const deadlineMs = performance.now() + deliveryTimeoutMs
    const { bytes, delivered } = laneOf(topic, partition).add(records, deadlineMs)
    pendingBytes += bytes
    schedule()
    try {
      return await delivered
    } finally {
      pendingBytes -= bytes
    }
  }

  function schedule(): void {
    wanted = true
    if (pumping) return
    pumping = true
    // After the caller's turn, so that all it sends in one turn shares a request.
    setImmediate(() => void pump())
  }

  /** Sends what can be sent, until nothing is left to start; retries come back by themselves. */
  async function pump(): Promise<void> {
    while (wanted && !closed) {
      wanted = false
      const idle = [...lanes.values()].filter((lane) => lane.hasWork())
      if (idle.length === 0) continue
      try {
        await startRequests(idle)
      } catch (error) {
        for (const lane of idle) if (!lane.busy) retryLater(lane, error)
      }
    }
    pumping = false
  }

  async function startRequests(idle: readonly Lane[]): Promise<void> {
    await client.connect([...topics])
    const id = idempotent ? await currentProducerId() : noStamp.producerId
    const byLeader = Map.groupBy(idle, leaderOf)
    await Promise.all(
      [...byLeader].map(async ([nodeId, led]) => {
        try {
          if (nodeId < 0) throw new Error('the partition has no leader')
          const broker = await client.broker(nodeId)
          for (const group of inRequests(led)) {
            for (const lane of group) lane.busy = true
            void produce(broker, group, id)
          }
        } catch (error) {
          void client.refreshMetadata().catch(() => undefined)
          for (const lane of led) retryLater(lane, error)
        }
      }),
    )
  }

  function leaderOf({ topic, partition }: Lane): number {
    return client.leaders(topic).get(partition) ?? -1
  }

  async function currentProducerId(): Promise<bigint> {
    producerId ??= client.newProducerId().catch((error: unknown) => {
      producerId = undefined
      throw error
    })
    return await producerId
  }

  async function produce(broker: BrokerHandle, group: Lane[], id: bigint): Promise<void> {
    const attempts = group.flatMap((lane) => lane.take(id) ?? [])
    try {
      const batches = await Promise.all(attempts.map(async (attempt) => await encode(attempt)))
      const answers = await ask(broker, batches)
      for (const { lane } of attempts) settle(lane, answers)
    } catch (error) {
      client.cut(broker, 'a produce request failed')
      logger.warn({ reason: messageOf(error) }, 'producing failed, trying again')
      void client.refreshMetadata().catch(() => undefined)
      for (const { lane } of attempts) retryLater(lane, error)
    }
    for (const lane of group) lane.busy = false
    schedule()
  }

  async function encode({ lane, records, stamp }: Attempt): Promise<{
    topic: string
    partition: number
    batch: Buffer
  }> {
    const { topic, partition } = lane
    const own = idempotent ? stamp : noStamp
    return {
      topic,
      partition,
      batch: await encodeRecordBatch(records, compression, own, Date.now()),
    }
  }

  async function ask(
    broker: BrokerHandle,
    batches: { topic: string; partition: number; batch: Buffer }[],
  ): Promise<ProducedPartition[]> {
    const bytes = encodeProduceRequest(batches, brokerTimeoutMs)
    const answer = await broker.connectionPool.send({
      request: {
        apiKey: produceApiKey,
        apiVersion: produceApiVersion,
        apiName: 'Produce',
        encode: () => Promise.resolve({ buf: bytes, buffer: bytes }),
      },
      response: {
        decode: (payload: Buffer) => Promise.resolve(decodeProduceResponse(payload)),
        parse: (decoded: unknown) => Promise.resolve(decoded),
      },
      requestTimeout: brokerTimeoutMs + answerTimeoutMs,
      logResponseError: false,
    })
    return answer as ProducedPartition[]
  }

  function settle(lane: Lane, answers: readonly ProducedPartition[]): void {
    const { topic, partition } = lane
    const answer = answers.find((one) => one.topic === topic && one.partition === partition)
    if (answer === undefined) {
      retryLater(lane, new Error('the broker did not answer for the partition'))
      return
    }
    const { errorCode } = answer
    switch (verdictOf(errorCode)) {
      case 'written':
        lane.succeed(answer.baseOffset, answer.logAppendTimeMs)
        return
      case 'again-as-new':
        logger.warn(
          { topic, partition, errorCode },
          'the broker lost our sequence: new producer id',
        )
        producerId = undefined
        lane.forgetStamp()
        retryLater(lane, refusal(topic, partition, errorCode))
        return
      case 'too-large':
        if (!lane.split()) lane.fail(refusal(topic, partition, errorCode))
        return
      case 'refused':
        lane.fail(refusal(topic, partition, errorCode))
        return
      case 'again':
        void client.refreshMetadata().catch(() => undefined)
        retryLater(lane, refusal(topic, partition, errorCode))
    }
  }

  /** Lets the lane try again after a pause, or fails what has waited for too long. */
  function retryLater(lane: Lane, error: unknown): void {
    const wrapped = toCountersinkError(error, 'records could not be delivered in time')
    const missing = kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION'
    const code = missing ? 'TOPIC_MISSING' : 'KAFKA_UNAVAILABLE'
    const failure = new CountersinkError(code, wrapped.message, { cause: error, retryable: true })
    if (lane.expire(performance.now(), failure)) producerId = undefined
    lane.holdBack(backoffMs(lane.failures + 1), schedule)
  }

  async function stop(): Promise<void> {
    const deadlineMs = performance.now() + stopTimeoutMs
    while (pendingBytes > 0 && performance.now() < deadlineMs) await sleep(5)
    closed = true
    const error = new CountersinkError('CLOSED', 'the producer was closed', { retryable: true })
    for (const lane of lanes.values()) lane.close(error)
    await client.close()
  }

  return {
    start() {
      return Promise.resolve()
    },
    async stop() {
      stopping ??= stop()
      await stopping
    },
    async partitions(topic) {
      try {
        await client.connect([...topics, topic])
      } catch (error) {
        throw toCountersinkError(error, `looking for the topic ${topic}`)
      }
      const count = client.leaders(topic).size
      if (count > 0) return count
      throw new CountersinkError('TOPIC_MISSING', `there is no topic ${topic}`, { retryable: true })
    },
    send: enqueue,
    async sendBatch(topic, batches) {
      const results = [...batches].map(async ([partition, records]) => {
        const result = enqueue(topic, partition, records)
        return [
          partition,
          await result.catch((e: unknown) => toCountersinkError(e, 'sending')),
        ] as const
      })
      return new Map(await Promise.all(results))
    },
  }
}

/** Parts the lanes so that no request grows beyond requestBytesMax. */
function inRequests(lanes: readonly Lane[]): Lane[][] {
  const requests: Lane[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const lane of lanes) {
    const size = lane.nextBytes()
    if (bytes + size > requestBytesMax) {
      requests.push([])
      bytes = 0
    }
    requests.at(-1)?.push(lane)
    bytes += size
  }
  return requests
}
