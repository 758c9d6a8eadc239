/*
 * The parts of kafkajs 2.2.4 below its consumer and producer that we stand on, with no more of
 * their shape than we use. They are not part of its public types; the version is pinned exactly.
 */

declare module 'kafkajs/src/cluster/index.js' {
  import type { Socket } from 'node:net'
  import type { BrokerHandle, KafkajsLogger } from 'kafkajs/internals'
  export default class Cluster {
    constructor(options: {
      logger: KafkajsLogger
      socketFactory(options: { host: string; port: number; onConnect: () => void }): Socket
      brokers: string[]
      clientId: string
      connectionTimeout: number
      authenticationTimeout: number
      reauthenticationThreshold: number
      requestTimeout: number
      enforceRequestTimeout: boolean
      metadataMaxAge: number
      retry: { retries: number; initialRetryTime: number; maxRetryTime: number }
      allowAutoTopicCreation: boolean
      maxInFlightRequests: number | null
      isolationLevel: number
    })
    brokerPool: {
      brokers: Record<string, BrokerHandle>
      seedBroker?: BrokerHandle
      versions: Record<string, { minVersion: number; maxVersion: number }> | null
      metadata: { controllerId: number; clusterId: string } | null
    }
    targetTopics: Set<string>
    connect(): Promise<void>
    refreshMetadata(): Promise<void>
    refreshMetadataIfNecessary(): Promise<void>
    findBroker(options: { nodeId: number | string }): Promise<BrokerHandle>
    findControllerBroker(): Promise<BrokerHandle>
    findGroupCoordinator(options: { groupId: string }): Promise<BrokerHandle>
    findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  }
}

declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net'
  import type { ConnectionHandle, KafkajsLogger, ProtocolRequest } from 'kafkajs/internals'
  export default class Connection implements ConnectionHandle {
    constructor(options: {
      host: string
      port: number
      logger: KafkajsLogger
      socketFactory(options: { host: string; port: number; onConnect: () => void }): Socket
      requestTimeout: number
      connectionTimeout: number
      clientId: string
    })
    socket?: Socket
    requestQueue: ConnectionHandle['requestQueue']
    connect(): Promise<unknown>
    isConnected(): boolean
    disconnect(): Promise<unknown>
    send(request: ProtocolRequest): Promise<unknown>
  }
}

declare module 'kafkajs/src/protocol/requests/metadata/index.js' {
  import type { ProtocolRequest } from 'kafkajs/internals'
  const definitions: {
    protocol(options: { version: number }): (options: { topics: string[] }) => ProtocolRequest & {
      request: { encode(): Promise<{ buffer: Buffer }> }
    }
  }
  export default definitions
}

declare module 'kafkajs/src/protocol/requests/fetch/index.js' {
  import type { ProtocolRequest } from 'kafkajs/internals'
  const definitions: {
    protocol(options: { version: number }): (options: {
      isolationLevel: number
      maxWaitTime: number
      minBytes: number
      maxBytes: number
      rackId: string
      topics: {
        topic: string
        partitions: { partition: number; fetchOffset: string; maxBytes: number }[]
      }[]
    }) => ProtocolRequest
  }
  export default definitions
}

declare module 'kafkajs/src/protocol/requests/joinGroup/index.js' {
  import type { ProtocolRequest } from 'kafkajs/internals'
  const definitions: {
    protocol(options: {
      version: number
    }): (options: {
      groupId: string
      sessionTimeout: number
      rebalanceTimeout: number
      memberId: string
      protocolType: string
      groupProtocols: { name: string; metadata: Buffer }[]
    }) => ProtocolRequest
  }
  export default definitions
}

declare module 'kafkajs/internals' {
  import type { Socket } from 'node:net'

  type LogMethod = (message: string, extra?: Record<string, unknown>) => void
  export type KafkajsLogger = {
    debug: LogMethod
    info: LogMethod
    warn: LogMethod
    error: LogMethod
    namespace(name: string): KafkajsLogger
    setLogLevel(level: number): void
  }

  export type ProtocolRequest = {
    request: unknown
    response: {
      decode(payload: Buffer): Promise<unknown>
      parse(decoded: unknown): Promise<unknown>
    }
    requestTimeout?: number
    logResponseError?: boolean
  }

  export type ConnectionHandle = {
    socket?: Socket
    isConnected(): boolean
    disconnect(): Promise<unknown>
    requestQueue: {
      rejectAll(error: Error): void
      throttleCheckTimeoutId: NodeJS.Timeout | null
    }
  }

  export type JoinedGroup = {
    generationId: number
    leaderId: string
    memberId: string
    members: { memberId: string; memberMetadata: Buffer }[]
  }

  export type BrokerHandle = {
    nodeId: number | null
    versions: Record<string, { minVersion: number; maxVersion: number }> | null
    connectionPool: {
      host: string
      port: number
      pool: ConnectionHandle[]
      send(request: ProtocolRequest): Promise<unknown>
    }
    disconnect(): Promise<void>
    initProducerId(options: { transactionTimeout: number }): Promise<{
      /** A number of one kind or another: kafkajs' Long, a bigint or a string. */
      producerId: { toString(): string }
    }>
    syncGroup(options: {
      groupId: string
      generationId: number
      memberId: string
      groupAssignment: { memberId: string; memberAssignment: Buffer }[]
    }): Promise<{ memberAssignment: Buffer }>
    heartbeat(options: {
      groupId: string
      groupGenerationId: number
      memberId: string
    }): Promise<unknown>
    createTopics(options: {
      topics: {
        topic: string
        numPartitions: number
        replicationFactor: number
        configEntries: { name: string; value: string }[]
      }[]
    }): Promise<unknown>
    deleteTopics(options: { topics: string[] }): Promise<unknown>
    createPartitions(options: {
      topicPartitions: { topic: string; count: number }[]
    }): Promise<unknown>
    describeConfigs(options: { resources: { type: number; name: string }[] }): Promise<{
      resources: { configEntries: { configName: string; configValue: string | null }[] }[]
    }>
    listOffsets(options: {
      isolationLevel: number
      topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[]
    }): Promise<{ responses: { partitions: { partition: number; offset: string }[] }[] }>
    offsetFetch(options: {
      groupId: string
      topics: { topic: string; partitions: { partition: number }[] }[]
    }): Promise<{ responses: { partitions: { partition: number; offset: string }[] }[] }>
    deleteRecords(options: {
      topics: { topic: string; partitions: { partition: number; offset: string }[] }[]
    }): Promise<unknown>
    describeGroups(options: {
      groupIds: string[]
    }): Promise<{ groups: { members: { memberId: string; clientId: string }[] }[] }>
    deleteGroups(groupIds: string[]): Promise<unknown>
    leaveGroup(options: { groupId: string; memberId: string }): Promise<unknown>
    offsetCommit(options: {
      groupId: string
      groupGenerationId: number
      memberId: string
      topics: { topic: string; partitions: { partition: number; offset: string }[] }[]
    }): Promise<unknown>
  }
}
