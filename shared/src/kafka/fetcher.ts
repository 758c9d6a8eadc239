import type { ClusterClient } from './cluster-client.ts'
import { CountersinkError } from '../errors.ts'
import {
  encodeFetchRequest,
  fetchApiKey,
  fetchApiVersion,
  type FetchLimits,
  type FetchTarget,
} from './fetch-request.ts'
import { decodeFetchResponse, type FetchResponse } from './fetch-response.ts'

/** Longer than any honest answer takes: the broker itself answers within maxWaitMs. */
const fetchTimeoutMs = 10_000

/** One fetch of committed data from the broker `nodeId`; cuts the connection when it fails. */
export async function fetchFrom(
  client: ClusterClient,
  nodeId: number,
  targets: readonly FetchTarget[],
  limits: FetchLimits,
): Promise<FetchResponse> {
  const broker = await client.broker(nodeId)
  const supported = broker.versions?.[fetchApiKey]?.maxVersion ?? fetchApiVersion
  if (supported < fetchApiVersion) {
    throw new CountersinkError('KAFKA_REFUSED', 'the broker is older than Kafka 3.1')
  }
  const bytes = encodeFetchRequest(targets, limits)
  const request = {
    apiKey: fetchApiKey,
    apiVersion: fetchApiVersion,
    apiName: 'Fetch',
    encode: () => Promise.resolve({ buf: bytes, buffer: bytes }),
  }
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
