import { freePort } from '@countersink/local/ports'
import { flatShape, startOf } from '../bench/loads.ts'
import { inspectProcess, type ProcessInspector } from '../bench/process-memory.ts'
import { type Encoding, fillTopic, type TopicLoad } from '../bench/topic-load.ts'
import { metricOf } from './aggregator-metrics.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'
import { startStatementCounter } from './statement-counter.ts'

const EVENTS = 400_000
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

/** Lets an aggregator catch up with a fixed load and counts what it does. `root`: as in StartOptions. */
export async function countWork(encoding: Encoding, root?: string): Promise<Work> {
  const bed = await createTestBed({ partitions: PARTITIONS, contractsYaml: CONTRACTS })
  const counter = await startStatementCounter(Number(new URL(bed.databaseUrl).port))
  try {
    const load = await fillTopic({
      brokers: bed.brokers,
      topic: bed.topic,
      encoding,
      partitions: PARTITIONS,
      load: {
        shape: flatShape(KEYS),
        events: EVENTS,
        seed: SEED,
        startMs: startOf(EVENTS, Date.now()),
      },
    })
    const inspectPort = await freePort()
    // What others left to be written first would be written as full pages.
    await bed.sql('checkpoint')
    const walBefore = await walPosition(bed)
    const aggregator = await bed.startService('aggregator', {
      until: 'alive',
      env: {
        DATABASE_URL: counter.through(bed.databaseUrl),
        NODE_OPTIONS: `--inspect=127.0.0.1:${inspectPort}`,
      },
      ...(root !== undefined && { root }),
    })
    const inspector = await inspectProcess(inspectPort)
    try {
      await inspector.startSampling()
      await waitFor(() => isCounted(bed, load), { what: 'all to be counted and paged' })
      const statements = counter.count(WRITER)
      return {
        ...(await workOf(bed, aggregator, inspector, load.events)),
        statementsPerCommit: statements / (await commitsOf(aggregator)),
        walBytesPerEvent: ((await walPosition(bed)) - walBefore) / load.events,
      }
    } finally {
      inspector.close()
    }
  } finally {
    await counter.stop()
    await bed.stop()
  }
}

async function workOf(
  bed: TestBed,
  aggregator: ServiceHandle,
  inspector: ProcessInspector,
  events: number,
): Promise<Omit<Work, 'statementsPerCommit' | 'walBytesPerEvent'>> {
  const allocated = await inspector.stopSampling([])
  const bytes = allocated.reduce((sum, place) => sum + place.bytes, 0)
  const [pages] = await bed.sql<{ count: number }>(
    `select ((select count(*) from countersink_1.total_pages_512)
      + (select count(*) from countersink_1.window_pages_512))::int as count`,
  )
  const written = await metricOf(aggregator, 'countersink_pages_written_total')
  return {
    commits: await commitsOf(aggregator),
    writesPerPage: written / (pages?.count ?? 0),
    allocatedBytesPerEvent: bytes / events,
    cpuMicrosPerEvent: (await metricOf(aggregator, 'process_cpu_seconds_total')) * (1e6 / events),
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

async function commitsOf(aggregator: ServiceHandle): Promise<number> {
  return await metricOf(aggregator, 'countersink_commit_seconds_count')
}

async function walPosition(bed: TestBed): Promise<number> {
  const [row] = await bed.sql<{ bytes: string }>(
    `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes`,
  )
  return Number(row?.bytes)
}
