import { mkdir } from 'node:fs/promises'
import type { ChildSpec } from './child.ts'
import { LOOPBACK } from './ports.ts'
import { redisAnswers } from './probes.ts'

export type RedisOptions = {
  dir: string
  logPath: string
  port: number
  /** Absolute path of redis-server. */
  program: string
  env: Readonly<Record<string, string | undefined>>
}

const MEMORY_BYTES_MAX = 256 * 1024 * 1024
const READY_MS_MAX = 10_000
const STOP_MS_MAX = 5000

/** A cache only: nothing is saved, and what does not fit is dropped, the least used first. */
export async function redisSpec(options: RedisOptions): Promise<ChildSpec> {
  await mkdir(options.dir, { recursive: true })
  const settings: Record<string, string> = {
    port: String(options.port),
    bind: LOOPBACK,
    dir: options.dir,
    save: '',
    appendonly: 'no',
    maxmemory: String(MEMORY_BYTES_MAX),
    'maxmemory-policy': 'allkeys-lru',
  }
  return {
    name: 'redis',
    command: options.program,
    args: () => Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    env: options.env,
    cwd: options.dir,
    logPath: options.logPath,
    probe: () => redisAnswers(options.port),
    readyMsMax: READY_MS_MAX,
    stopSignal: 'SIGTERM',
    stopMsMax: STOP_MS_MAX,
  }
}
