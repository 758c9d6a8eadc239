import { spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import { fatalMessage, tailOf } from './child-log.ts'
import { signalGroup, signalProcess } from './process-identity.ts'

/** Everything needed to start one child process, again and again. */
export type ChildSpec = {
  name: string
  command: string
  /** Asked at each start. */
  args: () => readonly string[]
  /** The whole environment of the child. */
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  /** Another user than ours, for servers that refuse to be root. */
  user?: { uid: number; gid: number } | undefined
  logPath: string
  /** One bounded try to speak the child's protocol; true when it is ready for use. */
  probe: () => Promise<boolean>
  readyMsMax: number
  stopSignal: 'SIGTERM' | 'SIGINT'
  stopMsMax: number
  /** Clears away what a killed predecessor left; runs before each start. */
  beforeStart?: () => Promise<void>
  /** Runs after each end that was asked for. */
  afterStop?: () => void
  /** Processes that belong to the child without being in its group. */
  members?: () => number[]
}

export type ChildEvents = {
  onSpawn?: (pid: number) => void
  /** `asked` is false when nobody here wanted the child to end. */
  onExit?: (asked: boolean, how: string) => void
}

export type Child = {
  readonly name: string
  readonly spec: ChildSpec
  pid: () => number | undefined
  /** Starts the process and resolves when it is ready. Throws TIMED_OUT when it is not, or ends. */
  start: () => Promise<void>
  /** Asks the process to end, then kills it after the spec's bound. Idempotent, safe before start. */
  stop: () => Promise<void>
  /** SIGKILL, as a crash would be; resolves when the process is gone. */
  kill: () => Promise<void>
  /** Why its last life ended, when it said so in its log. */
  lastWords: () => string | undefined
  /** SIGSTOP to all of it: alive, but it does not answer. */
  pause: () => void
  resume: () => void
}

const PROBE_INTERVAL_MS = 40
const LOG_TAIL_BYTES = 2000
/** What follows a fatal line is the end of a service in order: a few lines. */
const FATAL_TAIL_BYTES = 64 * 1024

type Running = {
  pid: number
  ended: Promise<string>
  endedHow: string | undefined
  asked: boolean
  /** Where its part of the log begins: what is before is of earlier lives. */
  logFrom: number
}

/** One child process in a group of its own, so that a Ctrl-C in the terminal reaches us alone. */
export function createChild(spec: ChildSpec, events: ChildEvents = {}): Child {
  let running: Running | undefined
  /** Counts the stops, so that one that comes while a start prepares is not overtaken by it. */
  let stops = 0

  async function start(): Promise<void> {
    const stopsBefore = stops
    await spec.beforeStart?.()
    if (stops !== stopsBefore) throw new CountersinkError('CLOSED', `${spec.name} was stopped`)
    const current = spawnChild()
    running = current
    const end = Date.now() + spec.readyMsMax
    while (!(await spec.probe())) {
      if (current.endedHow !== undefined) throw failure(`ended at once (${current.endedHow})`)
      if (Date.now() > end) throw failure(`was not ready within ${spec.readyMsMax / 1000} s`)
      await delay(PROBE_INTERVAL_MS)
    }
    // Whoever answered must be ours: a child that could not get its port has ended by now or will.
    if (current.endedHow !== undefined) throw failure(`ended at once (${current.endedHow})`)
  }

  function failure(what: string): CountersinkError {
    const tail = tailOf(spec.logPath, LOG_TAIL_BYTES, running?.logFrom)
    return new CountersinkError(
      'TIMED_OUT',
      `${spec.name} ${what}. The end of ${spec.logPath}:\n${tail}`,
    )
  }

  function spawnChild(): Running {
    // A file and not a pipe: what outlives a kill -9 of its parent must still be able to write.
    const log = openSync(spec.logPath, 'a')
    try {
      const logFrom = fstatSync(log).size
      const child = spawn(spec.command, [...spec.args()], {
        cwd: spec.cwd,
        env: { ...spec.env },
        stdio: ['ignore', log, log],
        detached: true,
        ...spec.user,
      })
      return watch(child, logFrom)
    } finally {
      closeSync(log)
    }
  }

  function watch(child: ReturnType<typeof spawn>, logFrom: number): Running {
    const { promise: ended, resolve } = Promise.withResolvers<string>()
    const pid = child.pid ?? 0
    const current: Running = { pid, ended, endedHow: undefined, asked: false, logFrom }
    const settle = (how: string): void => {
      if (current.endedHow !== undefined) return
      current.endedHow = how
      resolve(how)
      events.onExit?.(current.asked, how)
    }
    child.once('error', (error) => settle(error.message))
    child.once('exit', (code, signal) => settle(signal ?? `code ${code}`))
    if (child.pid !== undefined) events.onSpawn?.(child.pid)
    return current
  }

  function signal(name: NodeJS.Signals): void {
    if (!running || running.endedHow !== undefined || running.pid === 0) return
    for (const member of spec.members?.() ?? []) {
      if (name !== 'SIGKILL' && member !== running.pid) signalProcess(member, name)
    }
    signalGroup(running.pid, name)
  }

  async function stop(): Promise<void> {
    stops += 1
    if (!running || running.endedHow !== undefined) return
    running.asked = true
    signalGroup(running.pid, spec.stopSignal)
    signal('SIGCONT')
    const giveUp = new AbortController()
    const late = delay(spec.stopMsMax, 'late' as const, { signal: giveUp.signal, ref: true })
    const how = await Promise.race([running.ended, late.catch(() => 'late' as const)])
    giveUp.abort()
    if (how === 'late') return kill()
    spec.afterStop?.()
  }

  async function kill(): Promise<void> {
    stops += 1
    if (!running || running.endedHow !== undefined) return
    running.asked = true
    signal('SIGKILL')
    await running.ended
  }

  return {
    name: spec.name,
    spec,
    pid: () => (running?.endedHow === undefined ? running?.pid : undefined),
    start,
    stop,
    kill,
    lastWords: () => fatalMessage(tailOf(spec.logPath, FATAL_TAIL_BYTES, running?.logFrom)),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  }
}
