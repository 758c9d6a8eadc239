/** Bounds of an HTTP service; each can be set by the service that makes the server. */
export type HttpLimits = {
  /** Request line and headers together; Node answers 431 beyond. */
  headerBytesMax: number
  headersMax: number
  queryParametersMax: number
  /** A body as it is sent, before inflating. */
  bodyBytesMax: number
  /** A body after inflating: what a gzip bomb meets. */
  inflatedBytesMax: number
  /** Bodies of all requests that are not answered yet. */
  bodyBytesInFlightMax: number
  requestsInFlightMax: number
  connectionsMax: number
  /** From the first byte of a request to the last of its headers. */
  headersTimeoutMs: number
  /** From the headers to the last byte of the body: a slow body ends here. */
  bodyTimeoutMs: number
  keepAliveTimeoutMs: number
  readinessTimeoutMs: number
  /** How long stop() waits for requests that are being answered. */
  drainTimeoutMs: number
}

export const HTTP_LIMITS: HttpLimits = {
  headerBytesMax: 16 * 1024,
  headersMax: 100,
  queryParametersMax: 64,
  bodyBytesMax: 1024 * 1024,
  inflatedBytesMax: 8 * 1024 * 1024,
  bodyBytesInFlightMax: 64 * 1024 * 1024,
  requestsInFlightMax: 2_000,
  connectionsMax: 10_000,
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 20_000,
  keepAliveTimeoutMs: 72_000,
  readinessTimeoutMs: 2_000,
  drainTimeoutMs: 10_000,
}
