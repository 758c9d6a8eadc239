import { createProducer, type EventInput, type Producer } from '@countersink/producer'
import { readRouting } from '@countersink/shared/kafka/routing-follower'
import { createLogger } from '@countersink/shared/log'
import type { RoutingVersion } from '@countersink/shared/routing-table'
import { withAdmin } from '@countersink/local/topic'
import { type TestBed, waitFor } from './stack.ts'

/** Times that let a change take effect within seconds, and load that a small machine makes. */
export const QUICK_ROUTING = {
  COUNTERSINK_ROUTING_LEASE_MS: '1000',
  COUNTERSINK_ROUTING_AHEAD_MS: '1000',
  COUNTERSINK_ROUTING_MARGIN_MS: '500',
  COUNTERSINK_HOT_KEY_RATE: '200',
  COUNTERSINK_HOT_KEY_WINDOW_MS: '800',
}

/** The versions told for the bed's topic, once there are so many. */
export async function routingVersions(
  bed: TestBed,
  count: number,
): Promise<readonly RoutingVersion[]> {
  const versions = await waitFor(
    async () => {
      const { table } = await readRouting({
        brokers: bed.brokers.split(','),
        topic: bed.topic,
        clientId: 'test-routing',
        logger: createLogger('test-routing', 'silent'),
      })
      return table.versions.length >= count ? table.versions : undefined
    },
    { what: `routing version ${count}` },
  )
  return versions ?? []
}

/** One for each format; with `json` lags are events. */
export async function startProducers(
  bed: TestBed,
  ...formats: ('json' | 'packed')[]
): Promise<Producer[]> {
  const producers = formats.map((format) =>
    createProducer({ brokers: bed.brokers.split(','), topic: bed.topic, format }),
  )
  await Promise.all(producers.map((producer) => producer.start()))
  return producers
}

/** For each partition: how many offsets nobody has counted. */
export async function lags(bed: TestBed): Promise<number[]> {
  const ends = await withAdmin(bed.brokers.split(','), (admin) => admin.endOffsets(bed.topic))
  const rows = await bed.sql<{ partition: number; next: string }>(
    'select partition, next from countersink_1.partitions order by partition',
  )
  return rows.map(({ partition, next }) => (ends.get(partition) ?? 0) - Number(next))
}

/** The part of all that the worst partition has. */
export function worstShare(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  return total === 0 ? 0 : Math.max(...counts) / total
}

/** Makes events of which six in ten are of one key, and keeps what their totals have to be. */
export class HotLoad {
  readonly sent: EventInput[] = []
  readonly totals = new Map<string, number>()
  #number = 0

  /** With ids of ours; every seventh is left to the SDK, and not kept. */
  make(count: number, at: number): EventInput[] {
    return Array.from({ length: count }, () => {
      const n = this.#number++
      const key = n % 5 < 3 ? 'hot' : `key-${(n * 7919) % 200}`
      this.totals.set(key, (this.totals.get(key) ?? 0) + 1)
      if (n % 7 === 0) return { counter: 'views', key, at }
      const event = { id: `event-${n}`, counter: 'views', key, at }
      this.sent.push(event)
      return event
    })
  }

  get expected(): Record<string, string> {
    const named = [...this.totals].map(([key, total]) => [key, String(total)] as const)
    return Object.fromEntries(named.toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
}
