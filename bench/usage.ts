import { readdirSync, readFileSync } from 'node:fs'

/** How often processes are looked at: what one that ends in between has written last is not seen. */
const SAMPLE_INTERVAL_MS = 500
/** USER_HZ, the unit of times in /proc, is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
// Fields of /proc/<pid>/stat behind the name, which may contain anything.
const PARENT = 1
const OWN_TICKS = [11, 12]
const REAPED_TICKS = [13, 14]

export type ProcessUsage = {
  /** Of the process and everything that it started, whether it still runs or has ended. */
  cpuSeconds: number
  /** Bytes handed to the file system to be written: a page that is written twice at once is one. */
  writtenBytes: number
  /** Of the process alone, since it was started. */
  peakRssBytes: number
}

export type Meter = {
  /** From here on usage counts. */
  begin: () => void
  /** CPU counts until here; what is still written afterwards counts until usage(). */
  end: () => void
  usage: () => ProcessUsage
  /** Looks at nothing any more; idempotent, and safe before begin(). */
  stop: () => void
}

/**
 * Watches a process and its descendants through /proc. Where there is no /proc all figures are NaN.
 */
export function meterProcess(pid: number): Meter {
  const written = new Map<number, { first: number; last: number }>()
  let known = new Set<number>()
  let [cpuFirst, cpuLast, peakRssBytes] = [Number.NaN, Number.NaN, Number.NaN]
  const sample = (): void => {
    const tree = processTree(pid)
    known = new Set(tree)
    peakRssBytes = peakRss(pid) ?? peakRssBytes
    for (const member of tree) {
      const bytes = writtenBytes(member)
      if (bytes === undefined) continue
      const entry = written.get(member)
      if (entry === undefined) written.set(member, { first: 0, last: bytes })
      else entry.last = bytes
    }
  }
  let timer: NodeJS.Timeout | undefined
  return {
    begin: () => {
      sample()
      for (const entry of written.values()) entry.first = entry.last
      cpuFirst = cpuSeconds(known)
      timer = setInterval(sample, SAMPLE_INTERVAL_MS)
    },
    end: () => {
      sample()
      cpuLast = cpuSeconds(known)
    },
    usage: () => {
      sample()
      let bytes = written.size === 0 ? Number.NaN : 0
      for (const { first, last } of written.values()) bytes += last - first
      return { cpuSeconds: cpuLast - cpuFirst, writtenBytes: bytes, peakRssBytes }
    },
    stop: () => clearInterval(timer),
  }
}

function processTree(root: number): number[] {
  const children = new Map<number, number[]>()
  let names: string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return []
  }
  for (const name of names) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const parent = statOf(pid)?.[PARENT]
    if (parent === undefined) continue
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const tree = [root]
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i] ?? 0) ?? []))
  return tree
}

function cpuSeconds(pids: ReadonlySet<number>): number {
  let ticks = 0
  for (const pid of pids) {
    const stat = statOf(pid)
    // One that has ended meanwhile is among what its parent has reaped.
    if (stat === undefined) continue
    for (const field of [...OWN_TICKS, ...REAPED_TICKS]) ticks += stat[field] ?? 0
  }
  return pids.size === 0 ? Number.NaN : ticks / TICKS_PER_SECOND
}

function statOf(pid: number): number[] | undefined {
  const text = read(`/proc/${pid}/stat`)
  return text
    ?.slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
}

function writtenBytes(pid: number): number | undefined {
  return numberIn(read(`/proc/${pid}/io`), /^write_bytes: (\d+)$/m)
}

function peakRss(pid: number): number | undefined {
  const kilobytes = numberIn(read(`/proc/${pid}/status`), /^VmHWM:\s+(\d+) kB$/m)
  return kilobytes === undefined ? undefined : kilobytes * 1024
}

function numberIn(text: string | undefined, pattern: RegExp): number | undefined {
  const found = text === undefined ? undefined : pattern.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
