import { existsSync, readFileSync, rmSync } from 'node:fs'
import { z } from 'zod'
import { writeFileAtomic } from './atomic-file.ts'
import { endProcess, identifyProcess, isRunning, type ProcessIdentity } from './process-identity.ts'

const registered = z.object({
  name: z.string(),
  pid: z.int().positive(),
  startedAt: z.string(),
  command: z.string(),
  stopSignal: z.enum(['SIGTERM', 'SIGINT']),
})
type Registered = z.infer<typeof registered>

const LEFTOVER_MS_MAX = 10_000

export type ChildRegister = {
  put: (name: string, pid: number, stopSignal: Registered['stopSignal']) => void
  remove: (name: string) => void
}

/**
 * Keeps two files up to date, each change on disk before it returns: `pids.json`, {name: pid} for
 * tools outside, and `children.json`, with what it takes to recognise a process later.
 */
export function createChildRegister(paths: { pids: string; children: string }): ChildRegister {
  const children = new Map<string, Registered>()

  function write(): void {
    const all = [...children.values()]
    writeFileAtomic(paths.children, `${JSON.stringify(all, null, 2)}\n`)
    const pids = Object.fromEntries(all.map((child) => [child.name, child.pid]))
    writeFileAtomic(paths.pids, `${JSON.stringify(pids, null, 2)}\n`)
  }

  write()
  return {
    put: (name, pid, stopSignal) => {
      const identity = identifyProcess(pid)
      // Gone already: its end is on its way here and nothing is left to recognise.
      if (!identity) return
      children.set(name, { name, stopSignal, ...identity })
      write()
    },
    remove: (name) => {
      if (children.delete(name)) write()
    },
  }
}

/**
 * Ends what an earlier start left running because it was killed itself: services first, so that
 * they can still finish with Kafka and Postgres. Pids that mean another process by now are left
 * alone. Returns the names of what was ended.
 */
export async function endLeftovers(
  paths: { pids: string; children: string },
  servers: ReadonlySet<string>,
): Promise<string[]> {
  const left = readRegister(paths.children).filter((child) => isRunning(child))
  const services = left.filter((child) => !servers.has(child.name))
  await Promise.all(services.map(endChild))
  await Promise.all(left.filter((child) => servers.has(child.name)).map(endChild))
  rmSync(paths.children, { force: true })
  rmSync(paths.pids, { force: true })
  return left.map((child) => child.name)
}

async function endChild(child: ProcessIdentity & Registered): Promise<void> {
  await endProcess(child, child.stopSignal, LEFTOVER_MS_MAX)
}

function readRegister(path: string): Registered[] {
  if (!existsSync(path)) return []
  try {
    return z.array(registered).parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    // Written by another version or by hand: the ports will tell when something is still there.
    return []
  }
}
