import type { FastifyInstance } from 'fastify'
import { Gauge, Histogram, type Registry } from 'prom-client'

const BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export type HttpGauges = { requestsInFlight: () => number; bodyBytesInFlight: () => number }

/**
 * Durations by method, route and status. The route is its pattern: a path holds users' keys, and a
 * key as a label would make a time series of each.
 */
export function measureRequests(app: FastifyInstance, metrics: Registry, gauges: HttpGauges): void {
  const duration = new Histogram({
    name: 'countersink_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS_S,
    registers: [metrics],
  })
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown'
    const labels = { method: request.method, route, status: String(reply.statusCode) }
    duration.observe(labels, reply.elapsedTime / 1000)
    done()
  })
  gauge('countersink_http_requests_in_flight', 'Requests being handled', gauges.requestsInFlight)
  gauge(
    'countersink_http_body_bytes_in_flight',
    'Bytes of request bodies held',
    gauges.bodyBytesInFlight,
  )

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [metrics],
      collect() {
        this.set(read())
      },
    })
  }
}
