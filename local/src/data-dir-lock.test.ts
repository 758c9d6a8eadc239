import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lockDataDir } from './data-dir-lock.ts'

test('a data directory has one holder, and a holder that is killed lets it go', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-lock-'))
  const file = join(dir, 'lock')
  const module = new URL('data-dir-lock.ts', import.meta.url).href
  const script = `
    const { lockDataDir } = await import('${module}')
    console.log(lockDataDir('${file}') ? 'held' : 'refused')
    setInterval(() => {}, 1000)`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    const [said] = await once(holder.stdout, 'data')
    expect(String(said)).toBe('held\n')
    expect(lockDataDir(file)).toBeUndefined()
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const lock = lockDataDir(file)
    expect(lock).toBeDefined()
    lock?.release()
    lock?.release()
  } finally {
    holder.kill('SIGKILL')
    await rm(dir, { recursive: true })
  }
})
