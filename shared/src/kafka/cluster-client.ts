import { setTimeout as sleep } from 'node:timers/promises'
import Cluster from 'kafkajs/src/cluster/index.js'
import type { BrokerHandle, KafkajsLogger } from 'kafkajs/internals'
import { CountersinkError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { connectFramed } from './framed-socket.ts'
import { ResponseBuffers } from './response-buffers.ts'

/** A broker that does not answer a plain request within this is taken to be gone. */
const requestTimeoutMs = 5_000
const connectTimeoutMs = 2_000
/** Connections may end politely for this long when a client closes, then they are cut. */
const closeTimeoutMs = 500

export type ClusterOptions = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly logger: Logger
}

/**
 * Connections and metadata of one Kafka cluster: the ground that our consumer, producer and admin
 * stand on, and with kafkajs-internals.d.ts the only place that touches kafkajs.
 */
export type ClusterClient = {
  /** Connects and loads the metadata of `topics`; may be called again after failures. */
  connect(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  /** The leader (node id) of each partition, as of the last metadata; -1 when there is none. */
  leaders(topic: string): Map<number, number>
  broker(nodeId: number): Promise<BrokerHandle>
  controller(): Promise<BrokerHandle>
  coordinator(groupId: string): Promise<BrokerHandle>
  /** A producer id that nobody has had; its epoch is 0. */
  newProducerId(): Promise<bigint>
  /** Of a response, or a view of one, nothing will be read any more. */
  giveBack(response: Buffer): void
  /** Cuts all connections of that broker; the next use makes new ones. */
  cut(broker: BrokerHandle, reason: string): void
  /** Ends every connection within closeTimeoutMs, whatever the brokers do. */
  close(): Promise<void>
}

export function createClusterClient(options: ClusterOptions): ClusterClient {
  const buffers = new ResponseBuffers()
  const cluster = new Cluster({
    logger: adaptLogger(options.logger),
    socketFactory: ({ host, port, onConnect }) => connectFramed(host, port, onConnect, buffers),
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: connectTimeoutMs,
    authenticationTimeout: connectTimeoutMs,
    reauthenticationThreshold: 10_000,
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    // Our own loops retry, with a view of the whole; kafkajs only walks through the seed brokers.
    retry: { retries: options.brokers.length, initialRetryTime: 50, maxRetryTime: 500 },
    allowAutoTopicCreation: false,
    maxInFlightRequests: null,
    isolationLevel: 1,
  })
  let closed = false

  function assertOpen(): void {
    if (closed) throw new CountersinkError('CLOSED', 'the Kafka client is closed')
  }

  return {
    async connect(topics) {
      assertOpen()
      for (const topic of topics) cluster.targetTopics.add(topic)
      await cluster.connect()
      await cluster.refreshMetadataIfNecessary()
    },
    async refreshMetadata() {
      assertOpen()
      await cluster.refreshMetadata()
    },
    leaders(topic) {
      const partitions = cluster.findTopicPartitionMetadata(topic)
      return new Map(partitions.map(({ partitionId, leader }) => [partitionId, leader]))
    },
    async broker(nodeId) {
      assertOpen()
      return await cluster.findBroker({ nodeId })
    },
    async controller() {
      assertOpen()
      return await cluster.findControllerBroker()
    },
    async coordinator(groupId) {
      assertOpen()
      await cluster.connect()
      await cluster.refreshMetadataIfNecessary()
      return await cluster.findGroupCoordinator({ groupId })
    },
    async newProducerId() {
      assertOpen()
      const broker = await cluster.findControllerBroker()
      const { producerId } = await broker.initProducerId({ transactionTimeout: requestTimeoutMs })
      return BigInt(producerId.toString())
    },
    giveBack: (response) => buffers.giveBack(response),
    cut(broker, reason) {
      for (const connection of broker.connectionPool.pool) {
        connection.requestQueue.rejectAll(connectionCut(reason))
        connection.socket?.destroy()
        void connection.disconnect()
      }
    },
    async close() {
      if (closed) return
      closed = true
      const { brokers, seedBroker } = cluster.brokerPool
      const all = new Set([...Object.values(brokers), ...(seedBroker ? [seedBroker] : [])])
      const polite = Promise.allSettled([...all].map((broker) => broker.disconnect()))
      await Promise.race([polite, sleep(closeTimeoutMs, undefined, { ref: false })])
      for (const broker of all) this.cut(broker, 'the client closes')
    },
  }
}

function connectionCut(reason: string): Error {
  return Object.assign(new Error(`connection cut: ${reason}`), { name: 'KafkaJSConnectionError' })
}

/** kafkajs logs as errors what its callers handle; they say themselves what it means. */
export function adaptLogger(logger: Logger): KafkajsLogger {
  const adapted: KafkajsLogger = {
    debug: (message, extra) => logger.trace(extra ?? {}, message),
    info: (message, extra) => logger.debug(extra ?? {}, message),
    warn: (message, extra) => logger.debug(extra ?? {}, message),
    error: (message, extra) => logger.debug(withoutStack(extra), message),
    namespace: () => adapted,
    setLogLevel: () => undefined,
  }
  return adapted
}

function withoutStack(extra: Record<string, unknown> | undefined): Record<string, unknown> {
  const { stack: _stack, ...rest } = extra ?? {}
  return rest
}
