import { setTimeout as sleep } from 'node:timers/promises'
import joinGroup from 'kafkajs/src/protocol/requests/joinGroup/index.js'
import type { BrokerHandle, JoinedGroup } from 'kafkajs/internals'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { backoffMs } from './backoff.ts'
import { createClusterClient, type ClusterClient } from './cluster-client.ts'
import { dismissEarlierLives } from './earlier-lives.ts'
import { kafkaErrorType } from './kafka-error.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './member-protocol.ts'
import { createSignal } from './signal.ts'
import { assignSticky } from './sticky-assigner.ts'

const protocolName = 'countersink-sticky'
/** Kafka 2.3 and later; from version 4 on the broker names a new member before it may join. */
const joinGroupVersion = 5
const leaveTimeoutMs = 2_000
/** After so many failures in a row the connections are made anew, in case they are the trouble. */
const failuresBeforeReconnect = 3

export type GroupMemberOptions = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly groupId: string
  readonly topic: string
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  /**
   * A name that no two living processes have: a member of this name is an earlier life of ours that
   * has crashed. Its partitions would be nobody's until its session is over, so it is sent away.
   */
  readonly soleName?: string | undefined
  readonly logger: Logger
  /** The partitions that we hold now, told to the assigner so that they can stay. */
  owned(): number[]
  /** A new generation gave us these; `partitionCount` is what the topic had then. */
  onAssignment(partitions: number[]): void
  /** The broker says that we are no longer a member: everything may belong to others by now. */
  onLost(): void
}

/**
 * Our membership in the consumer group: join, sync, heartbeats by timer whatever the reader is
 * doing, and leave. It has connections of its own, because a broker serves one request of a
 * connection at a time and a join may take as long as the slowest member. It never gives up.
 */
export type GroupMember = {
  start(): void
  /** Asks for a new assignment, for example because the topic has more partitions now. */
  rejoin(): void
  /** False when no contact succeeded for so long that the broker must have given us up. */
  isAlive(): boolean
  /** When the broker last answered us as a member, by performance.now(). */
  lastContactAt(): number
  /** Commits offsets for lag tools; skipped while rebalancing, failures are only logged. */
  commitAdvisory(offsets: ReadonlyMap<number, number>): Promise<void>
  /** Leaves the group, so that others take over at once, and closes; bounded, idempotent. */
  leave(): Promise<void>
}

type State = 'idle' | 'joining' | 'stable' | 'left'

export function createGroupMember(options: GroupMemberOptions): GroupMember {
  const { groupId, topic, logger, soleName } = options
  const identity = { ...options, clientId: soleName ?? options.clientId }
  const wake = createSignal()
  let client: ClusterClient = createClusterClient(identity)
  let coordinator: BrokerHandle | undefined
  let state: State = 'idle'
  let memberId = ''
  let generation = -1
  let rejoinWanted = false
  let hasJoined = false
  let lastContactAt = performance.now()
  let running: Promise<void> | undefined
  let leaving: Promise<void> | undefined

  const hasLeft = (): boolean => state === 'left'

  async function run(): Promise<void> {
    let failures = 0
    while (!hasLeft()) {
      try {
        await joinAndSync()
        failures = 0
        await beatUntilRebalance()
      } catch (error) {
        if (hasLeft()) return
        failures++
        await recover(error, failures)
      }
    }
  }

  async function joinAndSync(): Promise<void> {
    state = 'joining'
    rejoinWanted = false
    await client.connect([topic])
    coordinator = await client.coordinator(groupId)
    if (hasLeft()) return
    const joined = await join(coordinator)
    if (hasLeft()) return
    hasJoined = true
    memberId = joined.memberId
    generation = joined.generationId
    const groupAssignment = joined.leaderId === memberId ? await assign(joined) : []
    const synced = await coordinator.syncGroup({
      groupId,
      generationId: generation,
      memberId,
      groupAssignment,
    })
    if (hasLeft()) return
    lastContactAt = performance.now()
    state = 'stable'
    const partitions = decodeAssignment(topic, synced.memberAssignment)
    logger.info({ groupId, memberId, generation, partitions }, 'joined the consumer group')
    options.onAssignment(partitions)
  }

  /**
   * Asks for membership, and before the first sends earlier lives away meanwhile: a group that has
   * nobody left would wait for others before it begins. Not again when we come back: who was sent
   * away by mistake must not do the same.
   */
  async function join(broker: BrokerHandle): Promise<JoinedGroup> {
    const joining = requestJoin(broker)
    if (hasJoined || soleName === undefined) return await joining
    const isEarlier = (id: string): boolean => id !== memberId && !hasLeft()
    const dismissal = dismissEarlierLives(identity, isEarlier)
    const [joined] = await Promise.all([joining, dismissal])
    return joined
  }

  async function requestJoin(broker: BrokerHandle): Promise<JoinedGroup> {
    const metadata = encodeSubscription(topic, generation, options.owned())
    const createRequest = joinGroup.protocol({ version: joinGroupVersion })
    const request = {
      groupId,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: options.rebalanceTimeoutMs,
      protocolType: 'consumer',
      groupProtocols: [{ name: protocolName, metadata }],
    }
    const send = async (): Promise<unknown> =>
      await broker.connectionPool.send(createRequest({ ...request, memberId }))
    try {
      return (await send()) as JoinedGroup
    } catch (error) {
      if (!isMemberIdRequired(error)) throw error
      // Kept at once, so that leave() can name us even while the join below is waiting.
      memberId = error.memberId
      // Who has left meanwhile would wait for the others' rebalance, on a connection made anew.
      if (hasLeft()) throw error
      return (await send()) as JoinedGroup
    }
  }

  async function assign(
    joined: JoinedGroup,
  ): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    await client.refreshMetadata()
    const partitionCount = client.leaders(topic).size
    const members = joined.members.flatMap((member) => {
      const { topics, ...claim } = decodeSubscription(member.memberMetadata)
      return topics.includes(topic) ? [{ memberId: member.memberId, ...claim }] : []
    })
    return [...assignSticky(partitionCount, members)].map(([id, partitions]) => ({
      memberId: id,
      memberAssignment: encodeAssignment(topic, partitions),
    }))
  }

  async function beatUntilRebalance(): Promise<void> {
    let failures = 0
    while (!hasLeft() && !rejoinWanted) {
      await wake.wait(failures === 0 ? options.heartbeatIntervalMs : backoffMs(failures))
      if (hasLeft() || rejoinWanted) return
      try {
        coordinator ??= await client.coordinator(groupId)
        await coordinator.heartbeat({ groupId, groupGenerationId: generation, memberId })
        lastContactAt = performance.now()
        failures = 0
      } catch (error) {
        const type = kafkaErrorType(error)
        if (type === 'REBALANCE_IN_PROGRESS') return
        if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') throw error
        // The coordinator moved, restarts or is out of reach: we stay a member until it denies it.
        failures++
        if (hasLeft()) return
        logger.warn({ groupId, failures, reason: messageOf(error) }, 'heartbeat failed')
        forgetCoordinator(failures)
      }
    }
  }

  async function recover(error: unknown, failures: number): Promise<void> {
    const type = kafkaErrorType(error)
    if (type === 'REBALANCE_IN_PROGRESS') return
    logger.warn({ groupId, memberId, failures, type, reason: messageOf(error) }, 'joining again')
    if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') {
      if (type === 'UNKNOWN_MEMBER_ID') memberId = ''
      generation = -1
      options.onLost()
      if (failures === 1) return
    }
    forgetCoordinator(failures)
    await wake.wait(backoffMs(failures))
  }

  function forgetCoordinator(failures: number): void {
    if (coordinator !== undefined) client.cut(coordinator, 'the coordinator is looked for again')
    coordinator = undefined
    if (failures % failuresBeforeReconnect !== 0 || hasLeft()) return
    void client.close()
    client = createClusterClient(identity)
  }

  async function leaveGroup(): Promise<void> {
    const wasJoining = state === 'joining'
    state = 'left'
    wake.notify()
    const broker = coordinator
    if (memberId !== '' && broker !== undefined) {
      // A join that waits blocks its connection: only a new one can carry the farewell.
      if (wasJoining) client.cut(broker, 'leaving the group')
      const farewell = broker.leaveGroup({ groupId, memberId }).catch((error: unknown) => {
        logger.warn({ groupId, memberId, reason: messageOf(error) }, 'could not leave the group')
      })
      await Promise.race([farewell, sleep(leaveTimeoutMs, undefined, { ref: false })])
    }
    await client.close()
    await running
  }

  return {
    start() {
      running ??= run()
    },
    rejoin() {
      rejoinWanted = true
      wake.notify()
    },
    isAlive() {
      const patience = state === 'joining' ? options.rebalanceTimeoutMs : 0
      return performance.now() - lastContactAt <= options.sessionTimeoutMs + patience
    },
    lastContactAt: () => lastContactAt,
    async commitAdvisory(offsets) {
      if (state !== 'stable' || coordinator === undefined || offsets.size === 0) return
      const partitions = [...offsets].map(([partition, offset]) => ({
        partition,
        offset: String(offset),
      }))
      try {
        const topics = [{ topic, partitions }]
        await coordinator.offsetCommit({ groupId, groupGenerationId: generation, memberId, topics })
      } catch (error) {
        logger.debug({ groupId, reason: messageOf(error) }, 'advisory offset commit failed')
      }
    },
    async leave() {
      leaving ??= leaveGroup()
      await leaving
    },
  }
}

function isMemberIdRequired(error: unknown): error is Error & { memberId: string } {
  return (
    kafkaErrorType(error) === 'MEMBER_ID_REQUIRED' &&
    error instanceof Error &&
    'memberId' in error &&
    typeof error.memberId === 'string'
  )
}
