import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'

export const RESULTS = join(import.meta.dirname, 'results')

/** Keeps a benchmark's figures as bench/results/<name>.json, with where and when they were measured. */
export function writeResults(name: string, figures: Readonly<Record<string, unknown>>): void {
  mkdirSync(RESULTS, { recursive: true })
  const file = join(RESULTS, `${name}.json`)
  writeFileSync(file, `${JSON.stringify({ ...whereMeasured(), ...figures }, null, 2)}\n`)
}

/** The moment, the code and the machine. */
export function whereMeasured() {
  return {
    at: new Date().toISOString(),
    commit: commitId(),
    node: process.versions.node,
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
  }
}

function commitId(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

/** Of an even number of values the middle between the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const below = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (below + quantile(sorted, 0.5)) / 2
}

/** The q-quantile of a list of numbers, 0 <= q <= 1; NaN of an empty one. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)] ?? Number.NaN
}
