import { int64At } from './flexible-reader.ts'

/*
 * Produce, version 7 (Kafka 2.1 and later):
 *
 *   request:  transactional_id string (null) | acks int16 | timeout_ms int32
 *             | topics [ name string | partitions [ partition int32 | records bytes ] ]
 *   response: topics [ name string | partitions [ partition int32 | error_code int16
 *             | base_offset int64 | log_append_time int64 | log_start_offset int64 ] ] | throttle int32
 *
 * kafkajs' own request encodes batches record by record, its response throws at the first
 * partition that failed: what became of the others would be lost.
 */

export const produceApiKey = 0
export const produceApiVersion = 7

export type PartitionBatch = {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
}

export type ProducedPartition = {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: number
  /** -1 when the topic keeps the producer's times. */
  readonly logAppendTimeMs: number
}

const ACKS_ALL = -1

export function encodeProduceRequest(
  batches: readonly PartitionBatch[],
  timeoutMs: number,
): Buffer {
  const byTopic = Map.groupBy(batches, ({ topic }) => topic)
  const parts: Buffer[] = []
  const head = Buffer.alloc(12)
  head.writeInt16BE(-1, 0)
  head.writeInt16BE(ACKS_ALL, 2)
  head.writeInt32BE(timeoutMs, 4)
  head.writeInt32BE(byTopic.size, 8)
  parts.push(head)
  for (const [topic, ofTopic] of byTopic) {
    const name = Buffer.from(topic)
    const topicHead = Buffer.alloc(2 + name.length + 4)
    topicHead.writeInt16BE(name.length, 0)
    name.copy(topicHead, 2)
    topicHead.writeInt32BE(ofTopic.length, 2 + name.length)
    parts.push(topicHead)
    for (const { partition, batch } of ofTopic) {
      const partitionHead = Buffer.alloc(8)
      partitionHead.writeInt32BE(partition, 0)
      partitionHead.writeInt32BE(batch.length, 4)
      parts.push(partitionHead, batch)
    }
  }
  return Buffer.concat(parts)
}

/** Throws RangeError when the response is shorter than it says. */
export function decodeProduceResponse(payload: Buffer): ProducedPartition[] {
  const produced: ProducedPartition[] = []
  let position = 4
  for (let topics = payload.readInt32BE(0); topics > 0; topics--) {
    const nameEnd = position + 2 + payload.readInt16BE(position)
    const topic = payload.toString('utf8', position + 2, nameEnd)
    const count = payload.readInt32BE(nameEnd)
    position = nameEnd + 4
    for (let i = 0; i < count; i++) {
      produced.push({
        topic,
        partition: payload.readInt32BE(position),
        errorCode: payload.readInt16BE(position + 4),
        baseOffset: int64At(payload, position + 6),
        logAppendTimeMs: int64At(payload, position + 14),
      })
      position += 30
    }
  }
  return produced
}
