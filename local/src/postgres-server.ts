import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { CountersinkError } from '@countersink/shared/errors'
import type { ChildSpec } from './child.ts'
import { tailOf } from './child-log.ts'
import { LOOPBACK } from './ports.ts'
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { postgresUser, type SystemUser } from './postgres-user.ts'
import { identifyProcess, processesIn, signalProcess } from './process-identity.ts'

export type PostgresOptions = {
  /** The cluster itself (PGDATA); made when it is not there. Its parent must exist. */
  dir: string
  logPath: string
  port: number
  env: Readonly<Record<string, string | undefined>>
}

export type PostgresServer = { spec: ChildSpec; databaseUrl: (database?: string) => string }

export const DATABASE = 'countersink'
const SUPERUSER = 'countersink'
const PASSWORD_FILE = 'countersink-password'
const READY_MS_MAX = 60_000
const STOP_MS_MAX = 12_000
/** The same bytes sort the same everywhere, whatever locales the machine has. */
export const INITDB_LOCALE = [
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
] as const
const INITDB_MS_MAX = 60_000
const LOG_TAIL_BYTES = 2000
/** How long the backends of a killed server may take to notice before they are killed too. */
const LEFTOVER_MS_MAX = 2000
const LEFTOVER_POLL_MS = 20
const MEGABYTE = 1024 * 1024
const SHARED_BUFFERS_MB_MAX = 512

/**
 * The cluster is entered through the working directory, not by its path: root opens the directory
 * for the child, and /proc/self/cwd leads every process there without walking through its parents.
 * So Postgres, which may not be root, also reaches a data directory below one that only root can
 * enter (/root, a mkdtemp with mode 0700), and the data stay where the user wanted them.
 */
const BY_WORKING_DIRECTORY = '/proc/self/cwd'

export async function postgresServer(options: PostgresOptions): Promise<PostgresServer> {
  const user = await postgresUser(options.dir)
  const binaries = await postgresBinaries(user)
  const clusterPath = user && process.platform === 'linux' ? BY_WORKING_DIRECTORY : options.dir
  if (!existsSync(options.dir)) await initCluster(options, binaries, user)
  const password = (await readFile(join(options.dir, PASSWORD_FILE), 'utf8')).trim()
  const databaseUrl = (database = DATABASE) =>
    `postgres://${SUPERUSER}:${password}@${LOOPBACK}:${options.port}/${database}`
  const spec: ChildSpec = {
    name: 'postgres',
    command: binaries.postgres,
    args: () => ['-D', clusterPath, ...serverArgs(options.port)],
    env: options.env,
    cwd: options.dir,
    user,
    logPath: options.logPath,
    probe: () => databaseReady(databaseUrl),
    readyMsMax: READY_MS_MAX,
    // SIGINT is Postgres' fast shutdown: sessions are ended, the state is flushed.
    stopSignal: 'SIGINT',
    stopMsMax: STOP_MS_MAX,
    beforeStart: () => clearLeftovers(options.dir),
    members: () => processesIn(options.dir, 'postgres'),
  }
  return { spec, databaseUrl }
}

/** Makes the cluster beside its place and renames it, so that one that exists is whole. */
async function initCluster(
  options: PostgresOptions,
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
): Promise<void> {
  const part = `${options.dir}.part`
  await rm(part, { recursive: true, force: true })
  await mkdir(part, { mode: 0o700 })
  if (user) await chown(part, user.uid, user.gid)
  // The file with the password is initdb's standard input: an argument could be read by anybody,
  // and the path of a file may lead through directories that the other user cannot enter.
  const passwordFile = `${part}.password`
  await writeFile(passwordFile, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 })
  if (user) await chown(passwordFile, user.uid, user.gid)
  const args = [
    `--pgdata=${user && process.platform === 'linux' ? BY_WORKING_DIRECTORY : part}`,
    `--username=${SUPERUSER}`,
    '--auth=scram-sha-256',
    '--pwfile=/dev/stdin',
    ...INITDB_LOCALE,
  ]
  await runInitdb(binaries.initdb, args, passwordFile, options, { cwd: part, ...user })
  await rename(passwordFile, join(part, PASSWORD_FILE))
  await rename(part, options.dir)
}

async function runInitdb(
  program: string,
  args: string[],
  passwordFile: string,
  options: PostgresOptions,
  as: { cwd: string; uid?: number; gid?: number },
): Promise<void> {
  const [input, log] = await Promise.all([open(passwordFile, 'r'), open(options.logPath, 'a')])
  try {
    const stdio = [input.fd, log.fd, log.fd]
    const child = spawn(program, args, { ...as, stdio, env: options.env, timeout: INITDB_MS_MAX })
    const { promise: ended, resolve } = Promise.withResolvers<string>()
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(code === 0 ? '' : (signal ?? `code ${code}`)))
    const problem = await ended
    if (problem === '') return
    const tail = tailOf(options.logPath, LOG_TAIL_BYTES)
    throw new CountersinkError('POSTGRES_REFUSED', `initdb failed (${problem}):\n${tail}`)
  } finally {
    await Promise.all([input.close(), log.close()])
  }
}

function serverArgs(port: number): string[] {
  const sharedBuffersMb = Math.min(SHARED_BUFFERS_MB_MAX, Math.floor(totalmem() / MEGABYTE / 8))
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: LOOPBACK,
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: `${sharedBuffersMb}MB`,
    max_wal_size: '4GB',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    wal_compression: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // After a crash every file is synced before recovery: one by one that took 0.7 to 1.8 s of the
    // restart here, the whole file system at once 0.2 to 0.7 s.
    ...(process.platform === 'linux' && { recovery_init_sync_method: 'syncfs' }),
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** Connects for real, which also waits out a crash recovery, and makes the database when missing. */
async function databaseReady(databaseUrl: (database?: string) => string): Promise<boolean> {
  const client = new pg.Client({
    connectionString: databaseUrl('postgres'),
    connectionTimeoutMillis: 2000,
    query_timeout: 10_000,
  })
  // A connection that breaks while it is probed only means: not ready.
  client.on('error', () => {})
  try {
    await client.connect()
    const found = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (found.rowCount === 0) await client.query(`create database ${DATABASE}`)
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * After a kill -9 of the server its backends end by themselves when they notice, a busy one late,
 * and Postgres refuses to start beside them. It also refuses when the pid in its pid file belongs to
 * some process by now, which nothing but a look at that process can tell from a running server.
 */
async function clearLeftovers(dir: string): Promise<void> {
  const end = Date.now() + LEFTOVER_MS_MAX
  let left = processesIn(dir, 'postgres')
  while (left.length > 0) {
    if (Date.now() > end) for (const pid of left) signalProcess(pid, 'SIGKILL')
    await delay(LEFTOVER_POLL_MS)
    left = processesIn(dir, 'postgres')
  }
  const pidFile = join(dir, 'postmaster.pid')
  const content = await readFile(pidFile, 'utf8').catch(() => '')
  const pid = Number(content.split('\n')[0])
  if (content === '' || identifyProcess(pid)?.command.includes('postgres')) return
  await rm(pidFile, { force: true })
}
