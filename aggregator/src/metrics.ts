import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CommitReport } from './committer.ts'
import { lagOf } from './owned-partition.ts'
import type { Ownership } from './ownership.ts'

export type Metrics = {
  registry: Registry
  onCommitted(report: CommitReport): void
  onFenced(): void
  onRetried(): void
  onHalted(): void
  onRoutingTold(): void
  onLookedUp(count: number, falsePositives: number): void
}

const COMMIT_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
const MODES = ['mode'] as const

/** Numbers for operators. No key and no counter is ever a label: users choose those. */
export function createMetrics(ownership: Ownership, routingVersion: () => number): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const commitSeconds = new Histogram({
    name: 'countersink_commit_seconds',
    help: 'From sealing a commit to its confirmation',
    labelNames: MODES,
    buckets: COMMIT_SECONDS,
    registers,
  })
  const events = new Counter({
    name: 'countersink_events_committed_total',
    help: 'Events in confirmed commits, whatever their outcome',
    registers,
  })
  const pages = new Counter({
    name: 'countersink_pages_written_total',
    help: 'Pages of totals and windows written',
    registers,
  })
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers })
  const fenced = counter(
    'countersink_fenced_total',
    'Partitions dropped because another owner moved them',
  )
  const retried = counter(
    'countersink_commit_retries_total',
    'Tries of a commit that did not succeed',
  )
  const lookedUp = counter(
    'countersink_cold_id_lookups_total',
    'Ids looked for in Postgres, because a filter said that they may be there',
  )
  const falsePositives = counter(
    'countersink_cold_id_false_positives_total',
    'Ids looked for in Postgres that were not there',
  )
  const halted = counter('countersink_halts_total', 'Partitions that were halted')
  const told = counter('countersink_routing_told_total', 'Routing versions that this process told')
  new Gauge({
    name: 'countersink_routing_version',
    help: 'The number of the last routing version',
    registers,
    collect() {
      this.set(routingVersion())
    },
  })
  addGauges(ownership, registers)
  return {
    registry,
    onCommitted(report) {
      commitSeconds.observe({ mode: report.mode }, report.ms / 1000)
      events.inc(report.events)
      pages.inc(report.pages)
    },
    onFenced: () => fenced.inc(),
    onRetried: () => retried.inc(),
    onHalted: () => halted.inc(),
    onRoutingTold: () => told.inc(),
    onLookedUp(count, notThere) {
      lookedUp.inc(count)
      falsePositives.inc(notThere)
    },
  }
}

function addGauges(ownership: Ownership, registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  const sum = (read: (owned: ReturnType<Ownership['all']>[number]) => number): number =>
    ownership.all().reduce((total, owned) => total + read(owned), 0)
  gauge(
    'countersink_partitions_owned',
    'Partitions claimed by this process',
    () => ownership.all().length,
  )
  gauge('countersink_partitions_halted', 'Partitions that wait for an operator', () =>
    sum(({ halted }) => (halted === undefined ? 0 : 1)),
  )
  gauge('countersink_lag_records', 'Records known to wait in the partitions owned', () =>
    sum(lagOf),
  )
  gauge('countersink_pending_events', 'Events folded and not yet committed', () =>
    sum(({ state }) => state?.ledger.read ?? 0),
  )
  gauge('countersink_dirt_entries', 'Sums in the log that their page does not have yet', () =>
    sum(({ state }) => state?.dirt.entries ?? 0),
  )
  gauge('countersink_dirty_pages', 'Pages that lack something of the log', () =>
    sum(({ state }) => state?.dirt.sums.size ?? 0),
  )
  gauge('countersink_ids_count', 'Ids remembered by their hashes in memory', () =>
    sum(({ state }) => state?.ids.hashed.size ?? 0),
  )
  gauge('countersink_ids_bytes', 'Bytes allocated for the hashes of ids', () =>
    sum(({ state }) => state?.ids.hashed.byteLength ?? 0),
  )
  gauge('countersink_cold_ids_count', 'Ids remembered by their hashes in Postgres', () =>
    sum(({ state }) => state?.ids.hashed.cold.count ?? 0),
  )
  gauge('countersink_cold_ids_bytes', 'Bytes of the filters of ids remembered in Postgres', () =>
    sum(({ state }) => state?.ids.hashed.cold.byteLength ?? 0),
  )
  gauge('countersink_made_ids_count', 'SDK-made ids remembered, in intervals', () =>
    sum(({ state }) => state?.ids.intervals.sequences ?? 0),
  )
  gauge('countersink_id_intervals_count', 'Intervals of SDK-made ids remembered', () =>
    sum(({ state }) => state?.ids.intervals.size ?? 0),
  )
  gauge('countersink_id_intervals_bytes', 'Bytes allocated for intervals of ids', () =>
    sum(({ state }) => state?.ids.intervals.byteLength ?? 0),
  )
  gauge('countersink_id_lanes_count', 'Lanes of SDK sessions remembered', () =>
    sum(({ state }) => state?.ids.lanes.size ?? 0),
  )
  gauge('countersink_id_lanes_bytes', 'Bytes allocated for lanes of SDK sessions', () =>
    sum(({ state }) => state?.ids.lanes.byteLength ?? 0),
  )
  gauge('countersink_pages_bytes', 'Bytes allocated for dirt and cached pages', () =>
    sum(({ state }) => (state === undefined ? 0 : state.open.pool.byteLength)),
  )
  gauge('countersink_series_bytes', 'Bytes allocated for series', () =>
    sum(({ state }) => state?.counters.byteLength ?? 0),
  )
}
