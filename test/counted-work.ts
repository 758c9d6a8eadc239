import { freePort } from '@countersink/local/ports'
import { holdTopic } from '../bench/held-topic.ts'
import { flatShape, loadEvents, startOf } from '../bench/loads.ts'
import { type Allocated, inspectProcess } from '../bench/process-memory.ts'
import { appendToTopic, type Encoding, emptyTopic, type TopicLoad } from '../bench/topic-load.ts'
import { metricOf } from '../bench/metrics.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'
import { type StatementCounter, startStatementCounter } from './statement-counter.ts'

/** So many that what a process does once in its life is not most of what is counted. */
const EVENTS: Record<Encoding, number> = { json: 400_000, packed: 1_200_000 }
/** Few, so that the first sight of each does not hide what every event costs. */
const KEYS = 10_000
const PARTITIONS = 4
const SEED = 5
const CONTRACTS = 'defaults: { lateness: 1h, windows: [1m] }'
/** Only its commits go through this connection. */
const WRITER = 'countersink-aggregator-writer'

/** What the aggregator had done, and had others do, when it had counted a load. */
export type Work = {
  statementsPerCommit: number
  /** How often a page was written that is there at the end. */
  writesPerPage: number
  /** The most commits that such a load is spread over. */
  commits: number
  walBytesPerEvent: number
  /** On V8's heap, collected or not. */
  allocatedBytesPerEvent: number
  cpuMicrosPerEvent: number
}

/**
 * Counts what an aggregator does that catches up with a fixed load. It is ready before the load is
 * shown to it, all at once, so that neither its start nor how quick that was is in the counts.
 * `root`: as in StartOptions.
 */
export async function countWork(encoding: Encoding, root?: string): Promise<Work> {
  const events = EVENTS[encoding]
  const bed = await createTestBed({ partitions: PARTITIONS, contractsYaml: CONTRACTS })
  const counter = await startStatementCounter(Number(new URL(bed.databaseUrl).port))
  try {
    const inspectPort = await freePort()
    const aggregator = await bed.startService('aggregator', {
      env: {
        DATABASE_URL: counter.through(bed.databaseUrl),
        NODE_OPTIONS: `--inspect=127.0.0.1:${inspectPort}`,
      },
      ...(root !== undefined && { root }),
    })
    const options = {
      brokers: bed.brokers,
      topic: bed.topic,
      encoding,
      partitions: PARTITIONS,
      load: {
        shape: flatShape(KEYS),
        events,
        seed: SEED,
        startMs: startOf(events, Date.now()),
      },
    }
    const load = emptyTopic(options)
    const held = await holdTopic(bed.brokers, load)
    await appendToTopic(options, load, loadEvents(options.load), events)
    // What others left to be written first would be written as full pages.
    await bed.sql('checkpoint')
    const inspector = await inspectProcess(inspectPort)
    try {
      await inspector.startSampling()
      const before = await countsOf(bed, aggregator, counter)
      await held.release()
      await waitFor(() => isCounted(bed, load), { what: 'all to be counted and paged' })
      const after = await countsOf(bed, aggregator, counter)
      const allocated = await inspector.stopSampling([])
      return workBetween(before, after, allocated, load.events)
    } finally {
      inspector.close()
    }
  } finally {
    await counter.stop()
    await bed.stop()
  }
}

type Counts = Record<
  'statements' | 'commits' | 'pagesWritten' | 'pagesThere' | 'walBytes' | 'cpuSeconds',
  number
>

async function countsOf(
  bed: TestBed,
  aggregator: ServiceHandle,
  counter: StatementCounter,
): Promise<Counts> {
  const [row] = await bed.sql<{ pages: number; wal: string }>(
    `select ((select count(*) from countersink_1.total_pages_512)
      + (select count(*) from countersink_1.window_pages_512))::int as pages,
      pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as wal`,
  )
  return {
    statements: counter.count(WRITER),
    commits: await metricOf(aggregator, 'countersink_commit_seconds_count'),
    pagesWritten: await metricOf(aggregator, 'countersink_pages_written_total'),
    pagesThere: row?.pages ?? 0,
    walBytes: Number(row?.wal),
    cpuSeconds: await metricOf(aggregator, 'process_cpu_seconds_total'),
  }
}

function workBetween(
  before: Counts,
  after: Counts,
  allocated: readonly Allocated[],
  events: number,
): Work {
  const grown = (name: keyof Counts): number => after[name] - before[name]
  const allocatedBytes = allocated.reduce((sum, place) => sum + place.bytes, 0)
  return {
    statementsPerCommit: grown('statements') / grown('commits'),
    writesPerPage: grown('pagesWritten') / grown('pagesThere'),
    commits: grown('commits'),
    walBytesPerEvent: grown('walBytes') / events,
    allocatedBytesPerEvent: allocatedBytes / events,
    cpuMicrosPerEvent: (grown('cpuSeconds') * 1e6) / events,
  }
}

async function isCounted(bed: TestBed, load: TopicLoad): Promise<boolean> {
  const [row] = await bed.sql<{ counted: string; paged: string; applied: string }>(
    `select sum(next) as counted, sum(floor) as paged, sum(applied) as applied
     from countersink_1.partitions`,
  )
  const end = String(load.ends.reduce((sum, one) => sum + one, 0))
  if (row?.counted !== end || row.paged !== end) return false
  if (Number(row.applied) !== load.oracle.applied) throw new Error('the counts are wrong')
  return true
}
