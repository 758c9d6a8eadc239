import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { ChildSpec } from './child.ts'
import { PROJECT_ROOT } from './paths.ts'
import { LOOPBACK } from './ports.ts'
import { httpAnswers, serviceIsReady } from './probes.ts'

const entries = z
  .record(z.string(), z.object({ entry: z.string(), nodeArgs: z.array(z.string()) }))
  .parse(JSON.parse(readFileSync(join(PROJECT_ROOT, 'local', 'service-entries.json'), 'utf8')))

export type ServiceKind = 'aggregator' | 'query-api' | 'gateway'

export type ServiceOptions = {
  kind: ServiceKind
  /** As it stands in pids.json and the log's name. */
  name: string
  port: number
  cwd: string
  logPath: string
  /** KAFKA_BROKERS, DATABASE_URL and the like, on top of the environment we have ourselves. */
  env: Readonly<Record<string, string | undefined>>
  /** When it counts as started: it makes progress (default; see serviceIsReady), or its process lives. */
  until?: 'ready' | 'alive'
  /** The checkout whose sources run; default: this one. */
  root?: string
}

const READY_MS_MAX = 90_000
const STOP_MS_MAX = 12_000

/** A service of this project as a child, configured by environment variables as everywhere else. */
export function serviceSpec(options: ServiceOptions): ChildSpec {
  const { entry, nodeArgs } = entryOf(options.kind)
  return {
    name: options.name,
    // The Node that runs us is the one that the project brings.
    command: process.execPath,
    args: () => [...nodeArgs, join(options.root ?? PROJECT_ROOT, entry)],
    env: { ...options.env, HOST: LOOPBACK, PORT: String(options.port) },
    cwd: options.cwd,
    logPath: options.logPath,
    probe: () =>
      options.until === 'alive'
        ? httpAnswers(options.port, '/healthz')
        : serviceIsReady(options.port),
    readyMsMax: READY_MS_MAX,
    stopSignal: 'SIGTERM',
    stopMsMax: STOP_MS_MAX,
  }
}

/** What Node is given to run a service of this kind. */
export function nodeArgsOf(kind: ServiceKind): readonly string[] {
  return entryOf(kind).nodeArgs
}

function entryOf(kind: ServiceKind): { entry: string; nodeArgs: string[] } {
  const service = entries[kind]
  if (!service) throw new Error(`${kind} is not in service-entries.json`)
  return service
}
