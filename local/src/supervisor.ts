import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '@countersink/shared/errors'
import { createChild, type Child, type ChildSpec } from './child.ts'
import { boundLogs } from './child-log.ts'
import type { ChildRegister } from './child-register.ts'

/** Waits between restarts of a child that keeps dying: from the first to the longest, doubling. */
const RESTART_DELAY_MS_MIN = 100
const RESTART_DELAY_MS_MAX = 5000
/** A child that lived this long was well, and its next death is a first one. */
const STEADY_MS = 5000
const LOG_CHECK_INTERVAL_MS = 10_000

export type Supervisor = {
  /** Starts a child and, once it has been ready, keeps it running. Rejects when it never is. */
  add: (spec: ChildSpec) => Promise<void>
  /** Stops the named children in parallel, all others stay. Idempotent. */
  stop: (names?: ReadonlySet<string>) => Promise<void>
  /** SIGKILLs everything that is left, without waiting for anything. */
  killAll: () => void
}

type Kept = { child: Child; deaths: number; startedAt: number; wanted: boolean }

export type SupervisorOptions = {
  register: ChildRegister
  logsDir: string
  say: (line: string) => void
}

/** Keeps children running: one that ends without having been asked to is started again. */
export function createSupervisor({ register, logsDir, say }: SupervisorOptions): Supervisor {
  const kept = new Map<string, Kept>()
  const stopping = new AbortController()
  const logCheck = setInterval(() => boundLogs(logsDir), LOG_CHECK_INTERVAL_MS)
  logCheck.unref()

  async function add(spec: ChildSpec): Promise<void> {
    const entry: Kept = { child: keep(spec), deaths: 0, startedAt: Date.now(), wanted: false }
    kept.set(spec.name, entry)
    await entry.child.start()
    if (stopping.signal.aborted) await entry.child.stop()
    else entry.wanted = true
  }

  function keep(spec: ChildSpec): Child {
    return createChild(spec, {
      onSpawn: (pid) => register.put(spec.name, pid, spec.stopSignal),
      onExit: (asked, how) => {
        register.remove(spec.name)
        const entry = kept.get(spec.name)
        if (asked || !entry?.wanted) return
        if (Date.now() - entry.startedAt > STEADY_MS) entry.deaths = 0
        entry.deaths += 1
        void restart(entry, how)
      },
    })
  }

  async function restart(entry: Kept, how: string): Promise<void> {
    const waitMs = restartDelayMs(entry.deaths)
    const why = entry.child.lastWords()
    const ended = `${entry.child.name} ended (${how}${why === undefined ? '' : `: ${why}`})`
    say(`${ended}; starting it again in ${waitMs / 1000} s`)
    const { signal } = stopping
    await delay(waitMs, undefined, { signal }).catch(() => {})
    if (!entry.wanted || signal.aborted) return
    const begun = Date.now()
    entry.startedAt = begun
    try {
      await entry.child.start()
      say(`${entry.child.name} is back after ${((Date.now() - begun) / 1000).toFixed(1)} s`)
    } catch (error) {
      // When it ended once more, its end has led to the next try already.
      if (entry.wanted) say(messageOf(error))
    }
  }

  async function stop(names?: ReadonlySet<string>): Promise<void> {
    const chosen = [...kept.values()].filter((entry) => names?.has(entry.child.name) ?? true)
    for (const entry of chosen) entry.wanted = false
    if (!names) {
      stopping.abort()
      clearInterval(logCheck)
    }
    await Promise.all(chosen.map((entry) => entry.child.stop()))
  }

  function killAll(): void {
    for (const entry of kept.values()) {
      entry.wanted = false
      void entry.child.kill()
    }
  }

  return { add, stop, killAll }
}

export function restartDelayMs(deaths: number): number {
  return Math.min(RESTART_DELAY_MS_MIN * 2 ** (deaths - 1), RESTART_DELAY_MS_MAX)
}
