import { DatabaseSync } from 'node:sqlite'

export type DataDirLock = { release: () => void }

/**
 * Takes a data directory for this process, or returns undefined when another one has it. Node has
 * no file locks of its own, but SQLite's are the kernel's: they end with their process, however it
 * ends, so there is no stale lock to judge and no race in taking one over.
 */
export function lockDataDir(lockFile: string): DataDirLock | undefined {
  const database = new DatabaseSync(lockFile, { timeout: 0 })
  try {
    // Nothing is ever written, so no journal is wanted beside the lock.
    database.exec('pragma journal_mode = memory; begin exclusive')
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
  let held = true
  return {
    release: () => {
      if (held) database.close()
      held = false
    },
  }
}

const SQLITE_BUSY = 5

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
