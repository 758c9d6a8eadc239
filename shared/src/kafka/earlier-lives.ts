import type { BrokerHandle } from 'kafkajs/internals'
import { messageOf } from '../errors.ts'
import { createClusterClient, type ClusterOptions } from './cluster-client.ts'
import { kafkaErrorType } from './kafka-error.ts'

export type EarlierLivesOptions = ClusterOptions & {
  readonly groupId: string
  readonly topic: string
}

/**
 * Lets the members of a group leave that have the same client id as `options` and of which `isEarlier`
 * says so: their partitions would be nobody's until their sessions are over. It has a connection of
 * its own, because a join may be waiting for just that on another. Never rejects.
 */
export async function dismissEarlierLives(
  options: EarlierLivesOptions,
  isEarlier: (memberId: string) => boolean,
): Promise<void> {
  const { groupId, topic, clientId, logger } = options
  const client = createClusterClient(options)
  try {
    await client.connect([topic])
    const broker = await client.coordinator(groupId)
    const { groups } = await broker.describeGroups({ groupIds: [groupId] })
    for (const member of groups.flatMap(({ members }) => members)) {
      if (member.clientId !== clientId || !isEarlier(member.memberId)) continue
      await dismiss(broker, groupId, member.memberId)
      logger.info({ groupId, memberId: member.memberId }, 'an earlier life has left the group')
    }
  } catch (error) {
    logger.warn({ groupId, reason: messageOf(error) }, 'an earlier life may still be a member')
  } finally {
    await client.close()
  }
}

async function dismiss(broker: BrokerHandle, groupId: string, memberId: string): Promise<void> {
  try {
    await broker.leaveGroup({ groupId, memberId })
  } catch (error) {
    // Its session has ended meanwhile.
    if (kafkaErrorType(error) !== 'UNKNOWN_MEMBER_ID') throw error
  }
}
