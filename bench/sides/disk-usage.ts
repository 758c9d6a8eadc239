import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The unit of `blocks`, whatever the file system's own is. */
const BLOCK_BYTES = 512

/**
 * Bytes that a directory takes on disk, holes left out; 0 when it is not there. Files may come and
 * go meanwhile.
 */
export async function diskUsage(path: string): Promise<number> {
  try {
    const stat = await lstat(path)
    if (!stat.isDirectory()) return stat.blocks * BLOCK_BYTES
    const names = await readdir(path)
    const sizes = await Promise.all(names.map((name) => diskUsage(join(path, name))))
    return sizes.reduce((sum, size) => sum + size, 0)
  } catch {
    return 0
  }
}
