import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { messageOf } from '../errors.ts'
import { sendProblem } from './problem.ts'

/** Whether the service can do its work now. Each check says `ok`, or in words what is wrong. */
export type Readiness = { ready: boolean; checks: Readonly<Record<string, string>> }

export type OpenApiDocument = Readonly<Record<string, unknown>>

export type OperationsOptions = {
  metrics: Registry
  readiness: () => Readiness | Promise<Readiness>
  readinessTimeoutMs: number
  openapi?: OpenApiDocument
}

const RETRY_AFTER_S = 1

/** /healthz (the process lives), /readyz (it makes progress), /metrics, /openapi.json. */
export function addOperations(app: FastifyInstance, options: OperationsOptions): void {
  app.get('/healthz', () => ({ status: 'ok' }))

  app.get('/readyz', async (_request, reply) => {
    const { ready, checks } = await boundedReadiness(options)
    if (ready) return { status: 'ready', checks }
    return sendProblem(reply, {
      status: 503,
      code: 'not-ready',
      detail: Object.entries(checks)
        .filter(([, state]) => state !== 'ok')
        .map(([name, state]) => `${name}: ${state}`)
        .join('; '),
      retryAfterS: RETRY_AFTER_S,
      extra: { checks },
    })
  })

  app.get('/metrics', async (_request, reply) => {
    return reply.type(options.metrics.contentType).send(await options.metrics.metrics())
  })

  if (options.openapi !== undefined) {
    const document = JSON.stringify(options.openapi)
    app.get('/openapi.json', (_request, reply) => reply.type('application/json').send(document))
  }
}

async function boundedReadiness(options: OperationsOptions): Promise<Readiness> {
  const timedOut = Promise.withResolvers<Readiness>()
  const timer = setTimeout(() => {
    const seconds = options.readinessTimeoutMs / 1000
    timedOut.resolve({ ready: false, checks: { readiness: `no answer within ${seconds} s` } })
  }, options.readinessTimeoutMs)
  try {
    return await Promise.race([options.readiness(), timedOut.promise])
  } catch (error) {
    return { ready: false, checks: { readiness: messageOf(error) } }
  } finally {
    clearTimeout(timer)
  }
}
