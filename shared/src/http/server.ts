import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Registry } from 'prom-client'
import { CountersinkError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { admitRequests } from './admission.ts'
import type { BodyOptions } from './body.ts'
import { createByteBudget } from './byte-budget.ts'
import { answerClientError } from './client-error.ts'
import { addFallbacks } from './fallbacks.ts'
import { measureRequests } from './http-metrics.ts'
import { HTTP_LIMITS, type HttpLimits } from './limits.ts'
import { addOperations, type OpenApiDocument, type Readiness } from './operations.ts'
import { sendProblem } from './problem.ts'

export type HttpServerOptions = {
  host: string
  /** 0 takes any free port. */
  port: number
  logger: Logger
  metrics: Registry
  readiness: () => Readiness | Promise<Readiness>
  limits?: Partial<HttpLimits>
  openapi?: OpenApiDocument
}

export type HttpServer = {
  /** Add routes to it before start(). Paths are plain: literals, `:name` and a `*` at the end. */
  app: FastifyInstance
  /** What readBody and readJson want: this server's limits and its budget of bytes in flight. */
  body: BodyOptions
  /** Aborts when stop() begins: long answers (streams) end then. */
  closing: AbortSignal
  start(): Promise<{ port: number }>
  /** Stops accepting, lets what is in flight finish within drainTimeoutMs, then cuts it off. */
  stop(): Promise<void>
}

/** Node's own time-out is only the net below ours, which can answer in good form. */
const REQUEST_TIMEOUT_FACTOR = 3
const CONNECTIONS_CHECK_INTERVAL_MS = 1_000
const BAD_URL = 'the path has a broken percent escape or a part that is too long'

/**
 * The HTTP server of all services: every bound of HttpLimits, Problem Details for every error,
 * 405 with Allow, /healthz, /readyz, /metrics and /openapi.json. It parses no bodies: a handler
 * that wants one calls readJson or readBody, which cannot throw.
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const limits = { ...HTTP_LIMITS, ...options.limits }
  const budget = createByteBudget(limits.bodyBytesInFlightMax)
  const closing = new AbortController()
  const app = createApp(limits, options.logger)
  const { requestsInFlight } = admitRequests(app, limits, closing.signal)
  addFallbacks(app)
  measureRequests(app, options.metrics, { requestsInFlight, bodyBytesInFlight: budget.used })
  addOperations(app, { ...options, readinessTimeoutMs: limits.readinessTimeoutMs })

  let stopped: Promise<void> | undefined
  return {
    app,
    body: { limits, budget },
    closing: closing.signal,
    async start() {
      if (stopped !== undefined) throw new CountersinkError('CLOSED', 'the server was stopped')
      return { port: await listen(app, options.host, options.port) }
    },
    stop() {
      stopped ??= drain(app, closing, limits.drainTimeoutMs)
      return stopped
    },
  }
}

/** A bare fastify within the limits that Node enforces, whose own errors are problems too. */
function createApp(limits: HttpLimits, logger: Logger): FastifyInstance {
  const loggerInstance: FastifyBaseLogger = logger
  const answered = new WeakMap<Socket, ServerResponse<IncomingMessage>>()
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestTimeout: limits.bodyTimeoutMs * REQUEST_TIMEOUT_FACTOR,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { maxParamLength: limits.headerBytesMax },
    http: {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS,
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, answered),
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, { status: error.statusCode ?? 400, code: 'bad-url', detail: BAD_URL })
    },
  })
  // Node would cut off headers beyond its own count in silence; the size and our count bound them.
  app.server.maxHeadersCount = 0
  app.server.maxConnections = limits.connectionsMax
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', (request, reply, done) => {
    answered.set(request.raw.socket, reply.raw)
    done()
  })
  return app
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (!inUse) throw error
    throw new CountersinkError('PORT_IN_USE', `port ${port} on ${host} is in use`, { cause: error })
  }
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

async function drain(app: FastifyInstance, closing: AbortController, timeoutMs: number) {
  closing.abort()
  const timer = setTimeout(() => app.server.closeAllConnections(), timeoutMs)
  try {
    await app.close()
  } finally {
    clearTimeout(timer)
  }
}
