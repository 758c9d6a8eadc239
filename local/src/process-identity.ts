import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Which process a pid meant when it was written down. A pid alone is dealt again sooner or later;
 * pid and start time together are not.
 */
export type ProcessIdentity = {
  pid: number
  /** Opaque: boot and clock tick on Linux, the text of `ps -o lstart` elsewhere. */
  startedAt: string
  /** For people who read the file. */
  command: string
}

const POLL_MS = 20
const hasProc = process.platform === 'linux'

/** Undefined when there is no such process, or only its zombie. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  try {
    return hasProc ? identifyByProc(pid) : identifyByPs(pid)
  } catch {
    return undefined
  }
}

function identifyByProc(pid: number): ProcessIdentity | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may hold anything, so fields are counted from the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state] = fields
  const startTick = fields[19]
  if (state === 'Z' || state === 'X' || startTick === undefined) return undefined
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  return { pid, startedAt: `${boot}/${startTick}`, command }
}

function identifyByPs(pid: number): ProcessIdentity | undefined {
  const options = ['-o', 'stat=,lstart=,command=', '-p', String(pid)]
  const line = execFileSync('ps', options, { encoding: 'utf8', env: { LC_ALL: 'C' } }).trim()
  const match = /^(\S+)\s+(\S+ +\S+ +\S+ +\S+ +\S+)\s+(.*)$/.exec(line)
  const [, state = 'Z', startedAt = '', command = ''] = match ?? []
  return state.startsWith('Z') ? undefined : { pid, startedAt, command }
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt
}

/** Signals a whole process group (children lead groups of their own); false when it is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself in the meantime.
  }
}

/** Ends a process and its group: with `signal`, and after `graceMsMax` with SIGKILL. */
export async function endProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  graceMsMax: number,
): Promise<void> {
  if (!isRunning(identity)) return
  signalGroup(identity.pid, signal)
  // A process that somebody stopped with SIGSTOP would not see the signal.
  signalGroup(identity.pid, 'SIGCONT')
  if (await goneWithin(identity, graceMsMax)) return
  signalGroup(identity.pid, 'SIGKILL')
  await goneWithin(identity, graceMsMax)
}

async function goneWithin(identity: ProcessIdentity, msMax: number): Promise<boolean> {
  const end = Date.now() + msMax
  while (isRunning(identity)) {
    if (Date.now() > end) return false
    await delay(POLL_MS)
  }
  return true
}

/**
 * Pids of the processes of one program whose working directory is `dir`: Linux only, elsewhere
 * none. Postgres' backends make sessions of their own, so that no group signal reaches them, but
 * all stay there; a shell of the user in the same place is not meant.
 */
export function processesIn(dir: string, program: string): number[] {
  if (!hasProc) return []
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry)
    if (!Number.isInteger(pid)) return []
    try {
      if (readlinkSync(`/proc/${pid}/cwd`) !== dir) return []
      // An updated program shows as "… (deleted)" and is meant too.
      const executable = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
      return basename(executable) === program && identifyProcess(pid) ? [pid] : []
    } catch {
      return []
    }
  })
}
