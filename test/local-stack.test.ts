import { spawn, type ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processEnvironment } from '@countersink/local/config'
import { PROJECT_ROOT } from '@countersink/local/paths'
import { isPortFree } from '@countersink/local/ports'
import { identifyProcess, isRunning, processesIn } from '@countersink/local/process-identity'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { waitFor } from './stack.ts'

/** The stack as its user sees it: commands, files and addresses, nothing of its modules. */
type Start = { process: ChildProcess; output: () => string; exited: Promise<number> }

const CHILDREN = ['aggregator', 'gateway', 'kafka', 'postgres', 'query-api']
const START_MS_MAX = 150_000

let closed: string
let dataDir: string
let portBase: number
const starts: Start[] = []

beforeEach(async () => {
  // As below /root or a mkdtemp: nobody but the owner gets through, and Postgres is somebody else.
  closed = await realpath(await mkdtemp(join(tmpdir(), 'countersink-stack-')))
  dataDir = join(closed, 'home', 'data')
  await mkdir(join(closed, 'home'))
  await chmod(join(closed, 'home'), 0o700)
  portBase = await freePortBase()
})

afterEach(async () => {
  for (const { process: child, exited } of starts.splice(0)) {
    child.kill('SIGINT')
    await exited
  }
  await rm(closed, { recursive: true, force: true })
})

test('after a kill -9 of the parent the next start ends what was left and has the data', async () => {
  start()
  await ready()
  await count('e1', 5)
  const first = await pids()
  expect(
    Object.keys(first)
      .filter((name) => name !== 'redis')
      .toSorted(),
  ).toEqual(CHILDREN)
  const children = Object.values(first).map((pid) => identifyProcess(pid))
  process.kill(await supervisorPid(), 'SIGKILL')
  await starts.pop()?.exited
  expect(children.every((child) => child && isRunning(child))).toBe(true)

  const second = start()
  await ready()
  expect(second.output()).toMatch(/Ended what an earlier start left running: .*kafka/)
  expect(children.some((child) => child && isRunning(child))).toBe(false)
  await waitFor(async () => (await total()) === '5', { what: 'the total of before' })
  await count('e1', 5)
  await count('e2', 1)
  await waitFor(async () => (await total()) === '6', { what: 'the new event, the old one once' })
})

test('Ctrl-C ends everything in order, and nothing is left', async () => {
  const { process: launcher, exited } = start()
  await ready()
  const children = Object.values(await pids()).map((pid) => identifyProcess(pid))
  expect(children.length).toBeGreaterThanOrEqual(CHILDREN.length)
  launcher.kill('SIGINT')
  expect(await exited).toBe(0)
  expect(children.filter((child) => child && isRunning(child))).toEqual([])
  expect(processesIn(join(dataDir, 'postgres'), 'postgres')).toEqual([])
  expect(await readFile(join(dataDir, 'pids.json'), 'utf8')).toBe('{}\n')
  const log = await readFile(join(dataDir, 'logs', 'postgres.log'), 'utf8')
  expect(log.trimEnd()).toMatch(/database system is shut down$/)
})

test('a kill -9 of npm ends everything in order, too', async () => {
  const { process: npm, output } = start({ npm_lifecycle_event: 'start' })
  await ready()
  const supervisor = identifyProcess(await supervisorPid())
  npm.kill('SIGKILL')
  await waitFor(() => !supervisor || !isRunning(supervisor), { what: 'the end of the stack' })
  expect(output()).toMatch(/Stopping…/)
  expect(output()).not.toMatch(/at once/)
  const log = await readFile(join(dataDir, 'logs', 'postgres.log'), 'utf8')
  expect(log.trimEnd()).toMatch(/database system is shut down$/)
})

test('who starts the stack reads which partitions are halted and what to do', async () => {
  const { output } = start()
  await ready()
  const client = new pg.Client({ connectionString: await address('DATABASE_URL') })
  await client.connect()
  const halted = `update countersink_1.partitions set halted = 'as a test says' where partition = 1`
  await waitFor(async () => (await client.query(halted)).rowCount === 1, { what: 'a claim' })
  await client.end()
  await waitFor(() => output().includes('Partition 1 is halted'), { what: 'the halt to be told' })
  expect(output()).toMatch(/until you decide: as a test says\n[^]*gap accept --partition 1$/m)
})

test('a killed launcher takes its stack with it, and each child that dies comes back', async () => {
  const { process: launcher, exited } = start('--aggregators', '2')
  await ready()
  const before = await pids()
  expect(Object.keys(before)).toContain('aggregator-2')
  for (const pid of Object.values(before)) process.kill(pid, 'SIGKILL')
  await waitFor(
    async () => {
      const now = Object.entries(await pids())
      return now.length === Object.keys(before).length && now.every(([k, pid]) => before[k] !== pid)
    },
    { what: 'a new pid for every child' },
  )
  await ready()
  await count('e1', 3)
  await waitFor(async () => (await total()) === '3', { what: 'counting to go on' })

  const second = start()
  expect(await second.exited).toBe(1)
  expect(second.output()).toMatch(/is in use by a running stack \(pid \d+\)/)

  const stackPids = [await supervisorPid(), ...Object.values(await pids())]
  const processes = stackPids.map((pid) => identifyProcess(pid))
  launcher.kill('SIGKILL')
  await exited
  await waitFor(() => processes.every((child) => !child || !isRunning(child)), {
    what: 'the stack to notice that it lost its launcher',
  })
})

test('what is missing is named together with how to get it', async () => {
  const { exited, output } = start(
    { PATH: join(PROJECT_ROOT, 'node_modules', '.bin'), JAVA_HOME: '', XDG_CACHE_HOME: closed },
    '--no-redis',
  )
  expect(await exited).toBe(1)
  expect(output()).toMatch(/Java 17 or newer is missing.*apt-get install openjdk-17/)
  expect(output()).toMatch(/mvn is missing.*apt-get install maven/)
})

function start(...args: (string | Record<string, string>)[]): Start {
  const flags = args.filter((arg) => typeof arg === 'string')
  const env = Object.assign({}, ...args.filter((arg) => typeof arg === 'object'))
  const own = { KAFKA_BROKERS: '', DATABASE_URL: '', REDIS_URL: '', DOCKER_HOST: 'unix:///nowhere' }
  const line = ['local/run.js', 'start', '--data-dir', dataDir, '--port-base', String(portBase)]
  // npm has a shell between itself and what it starts.
  const shell = 'npm_lifecycle_event' in env ? ['sh', '-c', '"$0" "$@"; exit $?'] : []
  const [command = '', ...words] = [...shell, process.execPath, ...line, ...flags]
  const child = spawn(command, words, {
    cwd: PROJECT_ROOT,
    env: { ...processEnvironment(), ...own, ...env },
    stdio: 'pipe',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const { promise: exited, resolve } = Promise.withResolvers<number>()
  child.once('exit', (code) => resolve(code ?? -1))
  const started = { process: child, output: () => output, exited }
  starts.push(started)
  return started
}

/** Resolves when local.env is there and the API says that it is ready. */
async function ready(): Promise<void> {
  const latest = starts.at(-1)
  const isReady = async () => {
    if (latest?.process.exitCode !== null) throw new Error(`it ended:\n${latest?.output()}`)
    // The file and the API of a start before could still be there.
    if (!latest.output().includes('Up in')) return false
    return (await fetch(`${await address('COUNTERSINK_API')}/readyz`)).status === 200
  }
  await waitFor(isReady, { what: 'the stack to be ready', timeoutMs: START_MS_MAX })
}

async function address(name: string): Promise<string> {
  const lines = (await readFile(join(dataDir, 'local.env'), 'utf8')).split('\n')
  const line = lines.find((candidate) => candidate.startsWith(`${name}=`))
  if (!line) throw new Error(`local.env does not have ${name}`)
  return line.slice(name.length + 1)
}

async function pids(): Promise<Record<string, number>> {
  const text = await readFile(join(dataDir, 'pids.json'), 'utf8')
  return z.record(z.string(), z.int()).parse(JSON.parse(text))
}

async function supervisorPid(): Promise<number> {
  const text = await readFile(join(dataDir, 'supervisor.json'), 'utf8')
  return z.object({ pid: z.int() }).parse(JSON.parse(text)).pid
}

/** Events of a fixed time, so that the same id is the same event whenever it is sent. */
const at = Date.now()

async function count(id: string, delta: number): Promise<void> {
  const event = { id, counter: 'video_views', key: 'v_1', delta, at }
  await waitFor(
    async () => {
      const response = await fetch(`${await address('COUNTERSINK_GATEWAY')}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
      })
      return response.status === 202
    },
    { what: `event ${id} to be accepted` },
  )
}

async function total(): Promise<string> {
  const api = await address('COUNTERSINK_API')
  const response = await fetch(`${api}/v1/counters/video_views/keys/v_1`)
  const body = await response.text()
  if (response.status !== 200) throw new Error(`${response.status} ${body}`)
  return z.object({ total: z.string() }).parse(JSON.parse(body)).total
}

/** The first of a row of free ports, as long as a stack with two aggregators needs. */
async function freePortBase(): Promise<number> {
  const PORTS = 12
  for (let base = 26_000; base < 30_000; base += 50) {
    const free = await Promise.all(
      Array.from({ length: PORTS }, (_, index) => isPortFree(base + index)),
    )
    if (free.every(Boolean)) return base
  }
  throw new Error('no row of free ports')
}
