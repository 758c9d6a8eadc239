import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createChild, type Child } from '@countersink/local/child'
import { processEnvironment } from '@countersink/local/config'
import { freePort, LOOPBACK } from '@countersink/local/ports'
import { serviceSpec, type ServiceKind } from '@countersink/local/service-specs'
import { ensureTopic, withAdmin } from '@countersink/local/topic'
import { messageOf } from '@countersink/shared/errors'
import { routingTopicOf } from '@countersink/shared/kafka/routing-topic'
import pg from 'pg'
import { inject } from 'vitest'
import { databaseUrl, TEMPLATE_DATABASE, type Servers } from './servers.ts'

export { ownServers, type OwnServers, type Servers } from './servers.ts'

export type TestBedOptions = {
  /** Of the topic. Default 4. */
  partitions?: number
  /** Content of counters.yaml. Default: no file, so the default contract. */
  contractsYaml?: string
  /** Servers of the test's own (ownServers()). Default: those of its project. */
  servers?: Servers
  /** Environment of every service of this bed. */
  env?: Record<string, string>
}

export type ServiceHandle = {
  name: string
  /** Throws when the service is not running. */
  pid: () => number
  url: string
  /** Signals the process; after SIGKILL resolves when it is gone. */
  kill: (signal?: NodeJS.Signals) => Promise<void>
  /** SIGTERM, and SIGKILL when that takes too long. */
  stop: () => Promise<void>
  /** Starts it again after an end, on the same port, and waits until it is ready. */
  start: () => Promise<void>
  /** Everything it wrote to stdout and stderr, over all of its lives. */
  logs: () => Promise<string>
  /** Resolves with 'code 0', 'SIGKILL' … when its present life ends. */
  ended: () => Promise<string>
}

export type StartOptions = {
  env?: Record<string, string>
  /** What to wait for. Default 'ready' (/readyz answers 200, or partitions are halted). */
  until?: 'ready' | 'alive' | 'spawned'
  port?: number
  /** A copy of the project, whose sources run instead of ours. */
  root?: string
}

export type TestBed = {
  brokers: string
  databaseUrl: string
  topic: string
  /** A directory of the bed's own, removed at the end. */
  dir: string
  /** What services and the command line read: KAFKA_BROKERS, DATABASE_URL and so on. */
  env: Record<string, string>
  startService: (kind: ServiceKind, options?: StartOptions) => Promise<ServiceHandle>
  sql: <Row extends pg.QueryResultRow>(text: string, params?: unknown[]) => Promise<Row[]>
  stop: () => Promise<void>
}

const PARTITIONS_DEFAULT = 4
const POOL_SIZE = 4
const POLL_MS = 50
const WAIT_MS_MAX_DEFAULT = 60_000

/**
 * A topic and a migrated database of the test's own. `stop` ends its services, fails when one of
 * the test's own connections was left open, and removes everything.
 */
export async function createTestBed(options: TestBedOptions = {}): Promise<TestBed> {
  const servers = options.servers ?? inject('servers')
  const name = `t_${randomBytes(6).toString('hex')}`
  const topic = `test.${name}`
  const dir = await mkdtemp(join(tmpdir(), 'countersink-bed-'))
  await makeDatabase(servers.adminUrl, name)
  const brokers = servers.brokers.split(',')
  await ensureTopic(brokers, topic, options.partitions ?? PARTITIONS_DEFAULT)
  const env = {
    KAFKA_BROKERS: servers.brokers,
    DATABASE_URL: databaseUrl(servers.adminUrl, name),
    COUNTERSINK_TOPIC: topic,
    COUNTERSINK_GROUP: name,
    ...(await contractsEnvironment(dir, options.contractsYaml)),
    ...options.env,
  }
  const pool = new pg.Pool({ connectionString: env.DATABASE_URL, max: POOL_SIZE })
  // A test that kills the database must not die of its own idle connections.
  pool.on('error', () => {})
  const services: Child[] = []

  return {
    brokers: servers.brokers,
    databaseUrl: env.DATABASE_URL,
    topic,
    dir,
    env,
    startService: (kind, start = {}) => {
      return startService({ kind, dir, env: { ...env, ...start.env }, services, start })
    },
    sql: async <Row extends pg.QueryResultRow>(text: string, params: unknown[] = []) => {
      return (await pool.query<Row>(text, params)).rows
    },
    stop: async () => {
      await Promise.all(services.map((service) => service.stop()))
      await pool.end()
      // Servers of the test's own go with all they hold, and may be dead by now.
      if (!options.servers) {
        await dropDatabase(servers.adminUrl, name)
        await withAdmin(brokers, async (admin) => {
          await admin.deleteTopic(topic)
          const routing = routingTopicOf(topic)
          if (await admin.topicExists(routing)) await admin.deleteTopic(routing)
        })
      }
      await rm(dir, { recursive: true, force: true })
    },
  }
}

type ServiceStart = {
  kind: ServiceKind
  dir: string
  env: Record<string, string>
  services: Child[]
  start: StartOptions
}

async function startService({
  kind,
  dir,
  env,
  services,
  start,
}: ServiceStart): Promise<ServiceHandle> {
  const port = start.port ?? (await freePort())
  const name = `${kind}-${services.length + 1}`
  const logPath = join(dir, `${name}.log`)
  const until = start.until === 'alive' ? 'alive' : 'ready'
  const root = start.root === undefined ? {} : { root: start.root }
  const options = { kind, name, port, cwd: dir, logPath, until, ...root } as const
  const spec = serviceSpec({ ...options, env: { ...processEnvironment(), ...env } })
  const life = { ended: Promise.withResolvers<string>() }
  const child = createChild(
    start.until === 'spawned' ? { ...spec, probe: async () => true } : spec,
    {
      onSpawn: () => (life.ended = Promise.withResolvers<string>()),
      onExit: (_, how) => life.ended.resolve(how),
    },
  )
  services.push(child)
  await child.start()
  const pid = (): number => {
    const current = child.pid()
    if (current === undefined) throw new Error(`${name} is not running`)
    return current
  }
  return {
    name,
    pid,
    url: `http://${LOOPBACK}:${port}`,
    kill: async (signal = 'SIGKILL') => {
      if (signal === 'SIGKILL') return child.kill()
      process.kill(pid(), signal)
    },
    stop: child.stop,
    start: child.start,
    logs: () => readFile(logPath, 'utf8'),
    ended: () => life.ended.promise,
  }
}

async function contractsEnvironment(
  dir: string,
  yaml: string | undefined,
): Promise<Record<string, string>> {
  if (yaml === undefined) return {}
  const file = join(dir, 'counters.yaml')
  await writeFile(file, yaml)
  return { COUNTERSINK_CONTRACTS: file }
}

/** Polls until `check` gives something true; an error counts as "not yet" and is shown at the end. */
export async function waitFor<T>(
  check: () => Promise<T> | T,
  { what, timeoutMs = WAIT_MS_MAX_DEFAULT }: { what: string; timeoutMs?: number },
): Promise<T> {
  const end = Date.now() + timeoutMs
  for (let last = 'it was never true'; ; await delay(POLL_MS)) {
    try {
      const value = await check()
      if (value) return value
    } catch (error) {
      last = messageOf(error)
    }
    if (Date.now() > end) throw new Error(`waited ${timeoutMs / 1000} s for ${what}: ${last}`)
  }
}

async function makeDatabase(adminUrl: string, name: string): Promise<void> {
  await withDatabase(adminUrl, (admin) => {
    return admin.query(`create database ${name} template ${TEMPLATE_DATABASE}`)
  })
}

async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withDatabase(adminUrl, (admin) => admin.query(`drop database ${name} with (force)`))
}

async function withDatabase(
  adminUrl: string,
  work: (admin: pg.Client) => Promise<unknown>,
): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  try {
    await work(admin)
  } finally {
    await admin.end()
  }
}
