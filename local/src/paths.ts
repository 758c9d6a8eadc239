import { homedir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's root: the folder that holds the workspaces. */
export const PROJECT_ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Where downloads go that many data directories share, after the XDG base directories. */
export function cacheDir(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(base, 'countersink')
}

/** What lies where in a data directory. */
export function dataPaths(dataDir: string) {
  return {
    dataDir,
    lock: join(dataDir, 'lock'),
    localEnv: join(dataDir, 'local.env'),
    pids: join(dataDir, 'pids.json'),
    children: join(dataDir, 'children.json'),
    holder: join(dataDir, 'supervisor.json'),
    contracts: join(dataDir, 'counters.yaml'),
    logs: join(dataDir, 'logs'),
    kafka: join(dataDir, 'kafka'),
    postgres: join(dataDir, 'postgres'),
    redis: join(dataDir, 'redis'),
    services: join(dataDir, 'services'),
  } as const
}

export type DataPaths = ReturnType<typeof dataPaths>

/** A path as people at the project's root would type it. */
export function shownPath(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short || '.'
}
