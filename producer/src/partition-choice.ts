import { parseSdkId, SDK_ID } from '@countersink/shared/sdk-id'
import { LANE_PARTITIONS } from './session-ids.ts'

const DOT = 0x2e

/**
 * The partition of an event, by the hash of its record key (murmur2, not negative) as all Kafka
 * clients choose it. An id that an SDK made names the partition that it was first sent to: a retry
 * goes there, whatever the number of partitions is now.
 */
export function partitionFor(hash: number, id: string | undefined, partitions: number): number {
  if (id !== undefined && id.charCodeAt(SDK_ID.sessionChars) === DOT) {
    const made = parseSdkId(id)
    const partition = made === undefined ? partitions : made.lane % LANE_PARTITIONS
    if (partition < partitions) return partition
  }
  return hash % partitions
}
