import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Freshness } from './freshness-run.ts'
import { type LoadTopics, PARTITIONS } from './load-topics.ts'
import { LOADS, type LoadName } from './loads.ts'
import { RESULTS, whereMeasured, writeResults } from './results.ts'
import {
  freshnessTable,
  number,
  ratios,
  type SideResult,
  sidesTable,
  storedTable,
  whole,
} from './throughput-table.ts'

export type Report = {
  /** Of each load. */
  events: number
  topics: LoadTopics
  results: ReadonlyMap<LoadName, SideResult[]>
  freshness: readonly Freshness[]
}

/** Keeps the figures as JSON, and as tables in markdown beside it; gives the tables. */
export function keepReport({ events, topics, results, freshness }: Report): string {
  const { at, commit, cpu, memoryGiB } = whereMeasured()
  const lines = [
    '# Throughput, as it was measured last',
    '',
    `${at}, commit ${commit}, ${cpu}, ${memoryGiB} GiB: one broker, one Postgres, all sides and what measures them on this machine; ${whole(events)} events in ${PARTITIONS} partitions. Medians of the runs. What the columns mean: docs/BENCHMARKS.md.`,
  ]
  const loads = [...results].map(([name, sides]) => {
    const known = topics.known(name)
    const [json, packed] = [known?.json, known?.packed].map((topic) => {
      return topic === undefined ? Number.NaN : topic.bytes / topic.events
    })
    const { title } = LOADS[name]
    const compared = ratios(sides)
    const sizes = [number(json ?? Number.NaN, 1), number(packed ?? Number.NaN, 1)]
    lines.push('', `## ${title}`, '')
    lines.push(`An event takes ${sizes[0]} bytes in the topic as JSON, ${sizes[1]} packed.`)
    lines.push('', sidesTable(sides, events), '', storedTable(sides), '')
    for (const [what, ratio] of Object.entries(compared)) {
      lines.push(`- ${what}: ${number(ratio, 2)}`)
    }
    return { load: name, title, valueBytes: { json, packed }, ratios: compared, sides }
  })
  if (freshness.length > 0) lines.push('', '## Freshness', '', freshnessTable(freshness))
  const tables = `${lines.join('\n')}\n`
  writeFileSync(join(RESULTS, 'throughput.md'), tables)
  writeResults('throughput', { events, partitions: PARTITIONS, loads, freshness })
  return tables
}
