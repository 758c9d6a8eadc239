import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { TailMetrics, Tail } from './postgres/tail.ts'
import type { ReaderMetrics } from './read/reader.ts'

const POLL_BUCKETS_S = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.25, 1, 5]

export function createMetrics(registry: Registry): TailMetrics & ReaderMetrics {
  const registers = [registry]
  const polls = new Histogram({
    name: 'countersink_query_poll_seconds',
    help: 'Time of one poll of the commit log, with taking it in',
    buckets: POLL_BUCKETS_S,
    registers,
  })
  const counter = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[] = [],
  ): Counter<Label> =>
    new Counter({ name: `countersink_query_${name}_total`, help, labelNames, registers })
  const reloads = counter('reloads', 'Times the tail was loaded again, by reason', ['reason'])
  const restores = counter('restores', 'Times the database was older than what was answered')
  const hits = counter('page_hits', 'Pages of totals found in the cache')
  const reads = counter('page_reads', 'Pages of totals read from Postgres')
  const dear = counter('dear_reads', 'Reads that the server had to add up from the log')
  const again = counter('read_retries', 'Reads that started over')
  return {
    polled: (seconds) => polls.observe(seconds),
    reloaded: (reason) => reloads.inc({ reason }),
    restored: () => restores.inc(),
    pagesHit: (count) => hits.inc(count),
    pagesRead: (count) => reads.inc(count),
    dearRead: () => dear.inc(),
    triedAgain: () => again.inc(),
  }
}

export function watchMemory(registry: Registry, tail: Tail): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `countersink_query_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  }
  gauge('tail_entries', 'Deltas in memory', () => tail.world()?.state.entries ?? 0)
  gauge('tail_bytes', 'Bytes of their columns', () => tail.world()?.state.bytes ?? 0)
  gauge('page_cache_bytes', 'Bytes of cached pages', () => tail.world()?.pages.bytes ?? 0)
  gauge('series_cached', 'Series look-ups in memory', () => tail.world()?.series.size ?? 0)
  gauge('tail_still_seconds', 'Time since the last poll', () => tail.stillForMs() / 1000)
}
