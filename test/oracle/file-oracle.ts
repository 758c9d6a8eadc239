// What a file of events has to come to, computed from the file alone, by no code of ours. It knows
// of the events that an id counts once and that every window is aligned to the epoch, no more.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type OracleEvent, seriesName } from './oracle.ts'

export type FileSums = {
  events: OracleEvent[]
  /** series -> sum, as text */
  totals: Record<string, string>
  /** series, size in milliseconds and start -> sum, as text */
  windows: Record<string, string>
  /** Sum of all totals of keys (without dims). */
  sum: number
}

/** Reads a gzipped file of JSON lines and adds it up, in the windows of those sizes. */
export function sumFile(url: URL, windowSizesMs: readonly number[]): FileSums {
  const lines = gunzipSync(readFileSync(url)).toString('utf8').trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line) as OracleEvent)
  const seen = new Set<string>()
  const totals = new Map<string, number>()
  const windows = new Map<string, number>()
  let sum = 0
  for (const { id, counter, key, delta, at } of events) {
    const identity = JSON.stringify([counter, key, id])
    if (seen.has(identity)) continue
    seen.add(identity)
    sum += delta
    const series = seriesName(counter, key, {})
    totals.set(series, (totals.get(series) ?? 0) + delta)
    for (const size of windowSizesMs) {
      const window = `${series} ${size} ${at - (((at % size) + size) % size)}`
      windows.set(window, (windows.get(window) ?? 0) + delta)
    }
  }
  return { events, totals: texts(totals), windows: texts(windows), sum }
}

function texts(sums: ReadonlyMap<string, number>): Record<string, string> {
  const entries = [...sums].sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, sum]) => [name, String(sum)]))
}
