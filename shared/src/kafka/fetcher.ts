import fetchRequests from 'kafkajs/src/protocol/requests/fetch/index.js'
import type { ClusterClient } from './cluster-client.ts'
import { CountersinkError } from '../errors.ts'
import { decodeFetchResponse, fetchApiVersion, type FetchResponse } from './fetch-response.ts'

export type FetchTarget = { readonly partition: number; readonly offset: number }

export type FetchLimits = {
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
}

/** Longer than any honest answer takes: the broker itself answers within maxWaitMs. */
const fetchTimeoutMs = 10_000
const READ_COMMITTED = 1
const FETCH_API_KEY = 1

/** One fetch of committed data from the broker `nodeId`; cuts the connection when it fails. */
export async function fetchFrom(
  client: ClusterClient,
  nodeId: number,
  topic: string,
  targets: readonly FetchTarget[],
  limits: FetchLimits,
): Promise<FetchResponse> {
  const broker = await client.broker(nodeId)
  const supported = broker.versions?.[FETCH_API_KEY]?.maxVersion ?? fetchApiVersion
  if (supported < fetchApiVersion) {
    throw new CountersinkError('KAFKA_REFUSED', 'the broker is older than Kafka 2.3')
  }
  const partitions = targets.map(({ partition, offset }) => ({
    partition,
    fetchOffset: String(offset),
    maxBytes: limits.maxBytesPerPartition,
  }))
  const { request } = fetchRequests.protocol({ version: fetchApiVersion })({
    isolationLevel: READ_COMMITTED,
    maxWaitTime: limits.maxWaitMs,
    minBytes: 1,
    maxBytes: limits.maxBytes,
    rackId: '',
    topics: [{ topic, partitions }],
  })
  const response = {
    decode: (payload: Buffer) => Promise.resolve(decodeFetchResponse(payload)),
    parse: (decoded: unknown) => Promise.resolve(decoded),
  }
  try {
    const requestTimeout = fetchTimeoutMs + limits.maxWaitMs
    const sent = { request, response, requestTimeout, logResponseError: false }
    return (await broker.connectionPool.send(sent)) as FetchResponse
  } catch (error) {
    // What is late on a connection would be late for the next fetch on it as well.
    client.cut(broker, 'a fetch failed')
    throw error
  }
}
