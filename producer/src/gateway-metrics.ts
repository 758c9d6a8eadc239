import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { ProducerStats } from './producer.ts'

export type GatewayMetrics = {
  registry: Registry
  /** `outcome` is `accepted`, NOT_DELIVERED or a reason of an invalid event: a closed list. */
  count: (outcome: string) => void
}

const GAUGES = {
  bufferedEvents: 'Events that Kafka has not acknowledged yet',
  bufferedBytes: 'Bytes of events that Kafka has not acknowledged yet',
  waitingEvents: 'Events that wait for room in the buffer',
  batches: 'Batches sent to Kafka, tries included',
  batchesFailed: 'Batches that failed and were sent again or given up',
  partitions: 'Partitions of the topic',
} as const satisfies Partial<Record<keyof ProducerStats, string>>

export function createGatewayMetrics(stats: () => ProducerStats): GatewayMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const events = new Counter({
    name: 'countersink_gateway_events_total',
    help: 'Events by what became of them',
    labelNames: ['outcome'],
    registers: [registry],
  })
  for (const [name, help] of Object.entries(GAUGES)) {
    new Gauge({
      name: `countersink_producer_${name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`,
      help,
      registers: [registry],
      collect() {
        this.set(stats()[name as keyof typeof GAUGES])
      },
    })
  }
  return { registry, count: (outcome) => events.inc({ outcome }) }
}
