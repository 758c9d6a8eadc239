import { setTimeout as sleep } from 'node:timers/promises'
import type { BrokerHandle } from 'kafkajs/internals'
import { CountersinkError } from '../errors.ts'
import { backoffMs } from './backoff.ts'
import { brokerVersionRange } from './broker-version.ts'
import { createClusterClient, type ClusterOptions } from './cluster-client.ts'
import { kafkaErrorType, toCountersinkError } from './kafka-error.ts'
import { readTopicMetadata, type TopicMetadata } from './metadata-request.ts'

/** Each call tries again while the broker is out of reach, for at most about this long. */
const callTimeoutMsDefault = 15_000
const UNKNOWN_TOPIC_OR_PARTITION = 3
const TOPIC_RESOURCE = 2
const EARLIEST = -2
const LATEST = -1

export type TopicDescription = {
  readonly topic: string
  /** As Kafka's own tools show it. A topic that was deleted and made again has another. */
  readonly topicId: string
  readonly clusterId: string
  readonly partitions: readonly { readonly partition: number; readonly leader: number }[]
  /** All settings as the broker applies them: 'cleanup.policy', 'retention.ms', … */
  readonly config: ReadonlyMap<string, string>
}

export type NewTopic = {
  readonly topic: string
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
  /** Copies of each partition; -1, the default, takes the broker's default. */
  readonly replicationFactor?: number
}

/**
 * Questions to a Kafka cluster, and the few changes that we make to one. Every call rejects with a
 * CountersinkError: TOPIC_MISSING, KAFKA_UNAVAILABLE (retryable) or KAFKA_REFUSED.
 */
export type KafkaAdmin = {
  /** Connects; rejects with KAFKA_UNAVAILABLE when no broker answers. */
  start(): Promise<void>
  stop(): Promise<void>
  /** The brokers of the cluster, and which versions of Kafka speak as the first of them does. */
  describeCluster(): Promise<{ clusterId: string; brokers: string[]; version: string }>
  topicExists(topic: string): Promise<boolean>
  /** False when it was there already; true when it was made and all its partitions have leaders. */
  createTopic(topic: NewTopic): Promise<boolean>
  deleteTopic(topic: string): Promise<void>
  /** Raises the number of partitions to `total`. */
  addPartitions(topic: string, total: number): Promise<void>
  describeTopic(topic: string): Promise<TopicDescription>
  /** The first offset that each partition still holds. */
  startOffsets(topic: string): Promise<Map<number, number>>
  /**
   * The offset behind the last committed record (or marker) of each partition: where a reader of
   * committed data has no lag. With `uncommitted` behind the very last, open transactions included.
   */
  endOffsets(topic: string, options?: { uncommitted?: boolean }): Promise<Map<number, number>>
  /** What the group has committed to Kafka, without partitions that have nothing. */
  groupOffsets(groupId: string, topic: string): Promise<Map<number, number>>
  /** Deletes all records below the given offsets, as retention would. */
  deleteRecords(topic: string, before: ReadonlyMap<number, number>): Promise<void>
  /** Deletes a group without members and what it committed. */
  deleteGroup(groupId: string): Promise<void>
}

export type KafkaAdminOptions = ClusterOptions & {
  /** How long each call tries while the broker is out of reach; 15 s by default. */
  readonly callTimeoutMs?: number
}

export function createKafkaAdmin(options: KafkaAdminOptions): KafkaAdmin {
  const callTimeoutMs = options.callTimeoutMs ?? callTimeoutMsDefault
  const client = createClusterClient(options)

  /** Runs `work` until it succeeds, fails for good, or callTimeoutMs are over. */
  async function attempt<T>(doing: string, work: (broker: BrokerHandle) => Promise<T>): Promise<T> {
    const deadlineMs = performance.now() + callTimeoutMs
    for (let failures = 1; ; failures++) {
      try {
        await client.connect([])
        return await work(await client.controller())
      } catch (error) {
        const failure = toCountersinkError(error, doing)
        const isMissing = failure.code === 'TOPIC_MISSING'
        if (isMissing || !failure.retryable || performance.now() > deadlineMs) throw failure
        await sleep(backoffMs(failures))
        await client.refreshMetadata().catch(() => undefined)
      }
    }
  }

  async function metadataOf(broker: BrokerHandle, topic: string): Promise<TopicMetadata> {
    const metadata = await readTopicMetadata(broker, topic)
    if (metadata.errorCode === UNKNOWN_TOPIC_OR_PARTITION) {
      const message = `there is no topic ${topic}`
      throw new CountersinkError('TOPIC_MISSING', message, { retryable: true })
    }
    if (metadata.errorCode !== 0 || metadata.partitions.some(({ leader }) => leader < 0)) {
      const message = `topic ${topic} has partitions without a leader (${metadata.errorCode})`
      throw new CountersinkError('KAFKA_UNAVAILABLE', message, { retryable: true })
    }
    return metadata
  }

  /** Runs `work` once for each broker that leads partitions of the topic, with those. */
  async function perLeader<T>(
    doing: string,
    topic: string,
    work: (leader: BrokerHandle, partitions: number[]) => Promise<T>,
  ): Promise<T[]> {
    return await attempt(doing, async (broker) => {
      const { partitions } = await metadataOf(broker, topic)
      const byLeader = Map.groupBy(partitions, ({ leader }) => leader)
      const results = [...byLeader].map(async ([nodeId, led]) => {
        const numbers = led.map(({ partition }) => partition)
        return await work(await client.broker(nodeId), numbers)
      })
      return await Promise.all(results)
    })
  }

  async function listOffsets(
    topic: string,
    timestamp: number,
    isolationLevel: number,
  ): Promise<Map<number, number>> {
    const doing = `reading offsets of ${topic}`
    const lists = await perLeader(doing, topic, async (leader, numbers) => {
      const partitions = numbers.map((partition) => ({ partition, timestamp }))
      const request = { isolationLevel, topics: [{ topic, partitions }] }
      const { responses } = await leader.listOffsets(request)
      return responses.flatMap((response) => response.partitions)
    })
    const offsets = lists
      .flat()
      .map(({ partition, offset }) => [partition, Number(offset)] as const)
    return new Map(offsets.toSorted(([a], [b]) => a - b))
  }

  async function describeTopic(topic: string): Promise<TopicDescription> {
    return await attempt(`describing ${topic}`, async (broker) => {
      const { topicId, clusterId, partitions } = await metadataOf(broker, topic)
      const resources = [{ type: TOPIC_RESOURCE, name: topic }]
      const described = await broker.describeConfigs({ resources })
      const entries = described.resources.flatMap(({ configEntries }) => configEntries)
      const config = new Map(
        entries.map(({ configName, configValue }) => [configName, configValue ?? '']),
      )
      const inOrder = partitions.toSorted((a, b) => a.partition - b.partition)
      const leaders = inOrder.map(({ partition, leader }) => ({ partition, leader }))
      return { topic, topicId, clusterId, partitions: leaders, config }
    })
  }

  async function topicExists(topic: string): Promise<boolean> {
    return await attempt(`looking for ${topic}`, async (broker) => {
      const { errorCode } = await readTopicMetadata(broker, topic)
      return errorCode !== UNKNOWN_TOPIC_OR_PARTITION
    })
  }

  /** After a change: until the broker that we ask knows of it too. */
  async function awaitTopic(topic: string, partitionCount: number): Promise<void> {
    await attempt(`waiting for ${topic}`, async (broker) => {
      const metadata = await readTopicMetadata(broker, topic)
      const led = metadata.partitions.filter(({ leader }) => leader >= 0).length
      if (led === partitionCount) return
      const message = `${led} of ${partitionCount} partitions of ${topic} have leaders`
      throw new CountersinkError('KAFKA_UNAVAILABLE', message, { retryable: true })
    })
  }

  async function createTopic(wanted: NewTopic): Promise<boolean> {
    const { topic, partitions, config = {}, replicationFactor = -1 } = wanted
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const made = await attempt(`making the topic ${topic}`, async (broker) => {
      try {
        const spec = { topic, numPartitions: partitions, replicationFactor, configEntries }
        await broker.createTopics({ topics: [spec] })
        return true
      } catch (error) {
        if (kafkaErrorType(error) === 'TOPIC_ALREADY_EXISTS') return false
        throw error
      }
    })
    if (made) await awaitTopic(topic, partitions)
    return made
  }

  async function deleteTopic(topic: string): Promise<void> {
    await attempt(`deleting the topic ${topic}`, async (broker) => {
      await broker.deleteTopics({ topics: [topic] })
    })
    await attempt(`waiting for the end of ${topic}`, async (broker) => {
      const { errorCode } = await readTopicMetadata(broker, topic)
      if (errorCode === UNKNOWN_TOPIC_OR_PARTITION) return
      const message = `the topic ${topic} is still there`
      throw new CountersinkError('KAFKA_UNAVAILABLE', message, { retryable: true })
    })
  }

  async function groupOffsets(groupId: string, topic: string): Promise<Map<number, number>> {
    return await attempt(`reading offsets of the group ${groupId}`, async (broker) => {
      const metadata = await metadataOf(broker, topic)
      const partitions = metadata.partitions.map(({ partition }) => ({ partition }))
      const coordinator = await client.coordinator(groupId)
      const topics = [{ topic, partitions }]
      const { responses } = await coordinator.offsetFetch({ groupId, topics })
      const offsets = responses
        .flatMap((response) => response.partitions)
        .map(({ partition, offset }) => [partition, Number(offset)] as const)
      return new Map(offsets.filter(([, offset]) => offset >= 0).toSorted(([a], [b]) => a - b))
    })
  }

  return {
    async start() {
      await attempt('connecting to Kafka', () => Promise.resolve())
    },
    async stop() {
      await client.close()
    },
    async describeCluster() {
      return await attempt('describing the cluster', async (broker) => {
        const { clusterId, brokers } = await readTopicMetadata(broker, '__none')
        const addresses = brokers.map(({ host, port }) => `${host}:${port}`)
        return { clusterId, brokers: addresses, version: brokerVersionRange(broker.versions ?? {}) }
      })
    },
    topicExists,
    createTopic,
    deleteTopic,
    async addPartitions(topic, total) {
      await attempt(`adding partitions to ${topic}`, async (broker) => {
        await broker.createPartitions({ topicPartitions: [{ topic, count: total }] })
      })
      await awaitTopic(topic, total)
    },
    describeTopic,
    startOffsets: async (topic) => await listOffsets(topic, EARLIEST, 0),
    endOffsets: async (topic, { uncommitted = false } = {}) =>
      await listOffsets(topic, LATEST, uncommitted ? 0 : 1),
    groupOffsets,
    async deleteRecords(topic, before) {
      await perLeader(`deleting records of ${topic}`, topic, async (leader, numbers) => {
        const partitions = numbers.flatMap((partition) => {
          const offset = before.get(partition)
          return offset === undefined ? [] : [{ partition, offset: String(offset) }]
        })
        if (partitions.length > 0) await leader.deleteRecords({ topics: [{ topic, partitions }] })
      })
    },
    async deleteGroup(groupId) {
      await attempt(`deleting the group ${groupId}`, async () => {
        const coordinator = await client.coordinator(groupId)
        await coordinator.deleteGroups([groupId])
      })
    },
  }
}
