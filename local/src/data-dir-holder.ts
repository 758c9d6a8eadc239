import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import { z } from 'zod'
import { writeFileAtomic } from './atomic-file.ts'
import { lockDataDir, type DataDirLock } from './data-dir-lock.ts'
import { shownPath, type DataPaths } from './paths.ts'

/** How long a start waits for the lock: an earlier one may be about to notice that it should end. */
const LOCK_MS_MAX = 3000
/** … and when that one has begun to stop, until it must have stopped. */
const LOCK_WHILE_STOPPING_MS_MAX = 30_000
const LOCK_POLL_MS = 100

const holderSchema = z.object({ pid: z.int(), stopping: z.boolean() })

/** Locks the data directory. Throws LIMIT_REACHED that names the stack which has it. */
export async function takeDataDir(
  paths: DataPaths,
  say: (line: string) => void,
): Promise<DataDirLock> {
  const begun = Date.now()
  for (let told = false; ; await delay(LOCK_POLL_MS)) {
    const lock = lockDataDir(paths.lock)
    if (lock) {
      tellHolder(paths, false)
      return lock
    }
    const holder = readHolder(paths)
    const msMax = holder?.stopping ? LOCK_WHILE_STOPPING_MS_MAX : LOCK_MS_MAX
    if (Date.now() - begun > msMax) throw inUse(paths, holder?.pid)
    if (holder?.stopping && !told) say('An earlier start is still stopping; waiting for it.')
    told = holder?.stopping ?? false
  }
}

/** Writes down, for the next start and for people, who has the directory and whether it ends. */
export function tellHolder(paths: DataPaths, stopping: boolean): void {
  // Somebody may have removed the whole directory under us.
  if (!existsSync(paths.dataDir)) return
  writeFileAtomic(paths.holder, `${JSON.stringify({ pid: process.pid, stopping })}\n`)
}

function inUse(paths: DataPaths, pid: number | undefined): CountersinkError {
  return new CountersinkError(
    'LIMIT_REACHED',
    `${shownPath(paths.dataDir)} is in use by a running stack${pid ? ` (pid ${pid})` : ''}. Stop ` +
      `it first (Ctrl-C), or start beside it: npm start -- --data-dir OTHER --port-base 25000`,
  )
}

function readHolder(paths: DataPaths): z.infer<typeof holderSchema> | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(paths.holder, 'utf8')))
  } catch {
    return undefined
  }
}
