import { renameSync, writeFileSync } from 'node:fs'

/**
 * Writes a small file so that a reader sees the old content or the new one, never a part. It is
 * synchronous because a pid must be on disk before anything else can happen to its process.
 */
export function writeFileAtomic(path: string, content: string, mode = 0o644): void {
  const part = `${path}.${process.pid}.part`
  writeFileSync(part, content, { mode })
  renameSync(part, path)
}
