import type { BrokerHandle } from 'kafkajs/internals'
import { createFlexibleReader, type FlexibleReader } from './flexible-reader.ts'

/*
 * Metadata, version 10 (Kafka 2.8 and later), for the topic ids, of which kafkajs' version 6 knows
 * nothing. From version 9 on the message is "flexible": compact strings and lists have their length
 * plus one as an unsigned varint in front (0 for null), and each structure ends with tagged fields.
 *
 *   request:  tags (of the header) | topics [ topic_id 16 | name string | tags ] | auto_create bool
 *             | cluster_operations bool | topic_operations bool | tags
 *   response: tags (of the header) | throttle int32 | brokers [ id int32 | host string | port int32
 *             | rack string | tags ] | cluster_id string | controller_id int32 | topics [ error int16
 *             | name string | topic_id 16 | internal bool | partitions [ error int16 | index int32
 *             | leader int32 | leader_epoch int32 | replicas [int32] | isr [int32]
 *             | offline [int32] | tags ] | topic_operations int32 | tags ] | ...
 */

const apiKey = 3
const apiVersion = 10
const TOPIC_ID_BYTES = 16

export type TopicMetadata = {
  readonly clusterId: string
  readonly brokers: readonly { nodeId: number; host: string; port: number }[]
  readonly errorCode: number
  /** Of this very topic: one deleted and made again under its name has another. */
  readonly topicId: string
  readonly partitions: readonly { partition: number; leader: number; errorCode: number }[]
}

export async function readTopicMetadata(
  broker: BrokerHandle,
  topic: string,
): Promise<TopicMetadata> {
  const bytes = encodeMetadataRequest(topic)
  const answer = await broker.connectionPool.send({
    request: {
      apiKey,
      apiVersion,
      apiName: 'Metadata',
      encode: () => Promise.resolve({ buf: bytes, buffer: bytes }),
    },
    response: {
      decode: (payload: Buffer) => Promise.resolve(decodeMetadataResponse(payload)),
      parse: (decoded: unknown) => Promise.resolve(decoded),
    },
    logResponseError: false,
  })
  return answer as TopicMetadata
}

/** Topic names are 249 bytes at most, so the name's length takes one or two bytes. */
export function encodeMetadataRequest(topic: string): Buffer {
  const name = Buffer.from(topic)
  const length = name.length + 1
  const prefix = length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7]
  const noId = Buffer.alloc(TOPIC_ID_BYTES)
  return Buffer.concat([Buffer.from([0, 2]), noId, Buffer.from(prefix), name, Buffer.alloc(5)])
}

/** Throws RangeError when the response is shorter than it says. */
export function decodeMetadataResponse(payload: Buffer): TopicMetadata {
  const reader = createFlexibleReader(payload)
  reader.tags()
  reader.int32()
  const brokers = reader.list(() => {
    const broker = { nodeId: reader.int32(), host: reader.string(), port: reader.int32() }
    reader.string()
    reader.tags()
    return broker
  })
  const clusterId = reader.string()
  reader.int32()
  const [topic] = reader.list(() => {
    const errorCode = reader.int16()
    reader.string()
    const topicId = reader.bytes(TOPIC_ID_BYTES).toString('base64url')
    reader.bytes(1)
    const partitions = reader.list(() => readPartition(reader))
    reader.int32()
    reader.tags()
    return { errorCode, topicId, partitions }
  })
  if (topic === undefined) throw new RangeError('the broker answered for no topic')
  return { clusterId, brokers, ...topic }
}

function readPartition(reader: FlexibleReader): {
  partition: number
  leader: number
  errorCode: number
} {
  const errorCode = reader.int16()
  const partition = reader.int32()
  const leader = reader.int32()
  reader.int32()
  for (let list = 0; list < 3; list++) reader.list(() => reader.int32())
  reader.tags()
  return { partition, leader, errorCode }
}
