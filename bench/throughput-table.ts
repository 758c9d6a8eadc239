import type { Freshness } from './freshness-run.ts'
import { median } from './results.ts'
import type { Side, SideRun } from './sides/side.ts'

/** What became of one side on one load. */
export type SideResult = {
  side: string
  title: string
  /** Events in its topic, copies included. */
  events: number
  runs: SideRun[]
  errors: string[]
}

/** Behind the first column, whose head says over how many events. */
const HEAD = [
  'events/s',
  'runs: slowest to quickest',
  '× Kafka Streams',
  'CPU s per million: itself',
  'Postgres',
  'broker',
  'all',
  'WAL, bytes an event',
  'written, bytes an event',
  'stored, bytes an event',
  'peak memory, MB',
]

/** The results of one load as a table in markdown, for a load of so many events. */
export function sidesTable(results: readonly SideResult[], events: number): string {
  const streams = results.find(({ side }) => side === 'kafka-streams')
  const reference = streams === undefined ? Number.NaN : rate(streams)
  const rows = results.map((result) => row(result, reference))
  return markdown([`side, ${whole(events)} events a run`, ...HEAD], rows)
}

function row(result: SideResult, reference: number): string[] {
  const { title, runs, events, errors } = result
  if (runs.length === 0) return [title, errors.length > 0 ? 'failed' : 'no time left']
  const of = (pick: (run: SideRun) => number): number => median(runs.map(pick))
  const perMillion = (seconds: number): string => number(seconds / (events / 1e6), 2)
  const perEvent = (bytes: number): string => number(bytes / events, 1)
  const rates = runs.map((run) => run.eventsPerSecond).toSorted((a, b) => a - b)
  const [slowest, quickest] = [rates[0], rates.at(-1)].map((value) => whole(value ?? Number.NaN))
  const cpu = {
    side: of((run) => run.cpuSeconds.side),
    postgres: of((run) => run.cpuSeconds.postgres),
    broker: of((run) => run.cpuSeconds.broker),
  }
  return [
    errors.length > 0 ? `${title} (${errors.length} runs failed)` : title,
    whole(rate(result)),
    runs.length === 1 ? '1 run' : `${runs.length}: ${slowest} to ${quickest}`,
    number(rate(result) / reference, 1),
    perMillion(cpu.side),
    perMillion(cpu.postgres),
    perMillion(cpu.broker),
    perMillion(cpu.side + cpu.postgres + cpu.broker),
    perEvent(of((run) => run.walBytes)),
    perEvent(of((run) => run.writtenBytes)),
    perEvent(of((run) => sum(Object.values(run.stored)))),
    whole(of((run) => run.peakRssBytes) / 1e6),
  ]
}

/** What is stored, by what it is for, as a table in markdown. */
export function storedTable(results: readonly SideResult[]): string {
  const rows = results.flatMap(({ title, runs, events }) => {
    const last = runs.at(-1)
    if (last === undefined || Object.keys(last.stored).length === 0) return []
    const parts = Object.entries(last.stored)
      .map(([purpose, bytes]) => `${purpose} ${number(bytes / events, 1)}`)
      .join(', ')
    return [[title, parts, number(last.bytesPerWindowEntry ?? Number.NaN, 1)]]
  })
  return markdown(['side', 'stored, bytes an event', 'bytes a (series, window)'], rows)
}

/** From add() to visible, the median of the runs, as a table in markdown. */
export function freshnessTable(measured: readonly Freshness[]): string {
  const head = [
    'events',
    'events/s',
    'visible p50, ms',
    'p99',
    'fetched p50, ms',
    'p99',
    'full speed',
  ]
  const rows = measured.map(({ encoding, ratePerSecond, fullSpeed, runs }) => {
    const of = (name: 'visible' | 'fetched', quantile: 'p50' | 'p99'): string =>
      number(median(runs.map((run) => run[name][quantile])), 1)
    const times = [of('visible', 'p50'), of('visible', 'p99'), of('fetched', 'p50')]
    return [
      encoding,
      whole(ratePerSecond),
      ...times,
      of('fetched', 'p99'),
      whole(fullSpeed ?? Number.NaN),
    ]
  })
  return markdown(head, rows)
}

export function rate(result: SideResult): number {
  return median(result.runs.map((run) => run.eventsPerSecond))
}

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const full = rows.map((cells) => head.map((_, i) => cells[i] ?? ''))
  return [line(head), line(head.map(() => '---')), ...full.map(line)].join('\n')
}

export function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–'
}

export function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–'
}

function sum(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((total, value) => total + value, 0)
}

/** How the sides of a load compare: ours to Kafka Streams and to the best of Flink. */
export function ratios(results: readonly SideResult[]): Record<string, number> {
  const rateOf = (name: string): number => {
    const result = results.find(({ side }) => side === name)
    return result === undefined ? Number.NaN : rate(result)
  }
  const flink = results.filter(({ side }) => side.startsWith('flink-')).map(rate)
  const bestFlink = Math.max(...flink.filter(Number.isFinite))
  const streams = rateOf('kafka-streams')
  const entries = {
    'JSON to Kafka Streams': rateOf('ours') / streams,
    'JSON to the best Flink': rateOf('ours') / bestFlink,
    'packed to Kafka Streams': rateOf('ours-packed') / streams,
    'packed to the best Flink': rateOf('ours-packed') / bestFlink,
    'JSON to the limit': rateOf('ours') / rateOf('limit'),
    'packed to the limit': rateOf('ours-packed') / rateOf('limit-packed'),
  }
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value > 0))
}

/** Sides in the order in which they were asked for. */
export function emptyResult(side: Side): SideResult {
  return { side: side.name, title: side.title, events: 0, runs: [], errors: [] }
}
