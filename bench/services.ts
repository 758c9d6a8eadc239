import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { processEnvironment } from '@countersink/local/config'
import { freePort, LOOPBACK } from '@countersink/local/ports'
import { httpAnswers } from '@countersink/local/probes'
import { nodeArgsOf } from '@countersink/local/service-specs'
import { whenEndedEarly } from './ended-early.ts'

const ROOT = join(import.meta.dirname, '..')
const STOP_MS_MAX = 30_000
const READY_MS_MAX = 60_000
const READY_POLL_MS = 50

/** One process of ours, as `npm start` runs it. */
export type Service = {
  url: string
  port: number
  pid: number
  /** Everything it has logged. */
  log: () => Promise<string>
  stop: () => Promise<void>
  /** Ends it with SIGKILL. */
  kill: () => Promise<void>
}

export type ServiceOptions = {
  brokers: string
  databaseUrl: string
  topic: string
  /** An existing directory for its log and contracts. */
  dir: string
  contractsYaml: string
  /** Any free one unless it is given: an aggregator that was killed is known by it when it is back. */
  port?: number
  nodeArgs?: readonly string[]
  /** Called as soon as there is a process. */
  onSpawn?: (pid: number) => Promise<void>
}

/** Resolves when it is up; it may still be without partitions. */
export async function startAggregator(options: ServiceOptions): Promise<Service> {
  const nodeArgs = [...nodeArgsOf('aggregator'), ...(options.nodeArgs ?? [])]
  return untilAnswers(await startService('aggregator', { ...options, nodeArgs }), '/healthz')
}

/** An aggregator for one piece of work; when that fails, the end of its log is shown. */
export async function withAggregator<T>(
  options: ServiceOptions,
  work: (aggregator: Service) => Promise<T>,
): Promise<T> {
  const aggregator = await startAggregator(options)
  try {
    return await work(aggregator)
  } catch (error) {
    console.error((await aggregator.log()).slice(-2000))
    throw error
  } finally {
    await aggregator.stop()
  }
}

/** Resolves when the API says that it is ready. */
export async function startQueryApi(options: ServiceOptions): Promise<Service> {
  return untilAnswers(await startService('query-api', options), '/readyz')
}

/** The service once it answers; one that does not is stopped. */
async function untilAnswers(service: Service, path: string): Promise<Service> {
  const deadline = Date.now() + READY_MS_MAX
  while (!(await httpAnswers(service.port, path))) {
    if (Date.now() > deadline) {
      await service.stop()
      throw new Error(`no answer: ${await service.log()}`)
    }
    await sleep(READY_POLL_MS)
  }
  return service
}

async function startService(name: string, options: ServiceOptions): Promise<Service> {
  const port = options.port ?? (await freePort())
  const contracts = join(options.dir, 'counters.yaml')
  await writeFile(contracts, options.contractsYaml)
  const logPath = join(options.dir, `${name}.log`)
  const log = openSync(logPath, 'w')
  const args = [...(options.nodeArgs ?? []), join(ROOT, name, 'src', 'main.ts')]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', log, log],
    env: {
      ...processEnvironment(),
      KAFKA_BROKERS: options.brokers,
      DATABASE_URL: options.databaseUrl,
      COUNTERSINK_TOPIC: options.topic,
      COUNTERSINK_GROUP: `bench-${options.topic}`,
      COUNTERSINK_CONTRACTS: contracts,
      HOST: LOOPBACK,
      PORT: String(port),
    },
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const service: Service = {
    url: `http://${LOOPBACK}:${port}`,
    port,
    pid: child.pid ?? 0,
    log: () => readFile(logPath, 'utf8'),
    stop: async () => {
      isDone()
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await ended
      clearTimeout(timer)
    },
    kill: async () => {
      isDone()
      child.kill('SIGKILL')
      await ended
    },
  }
  const isDone = whenEndedEarly(service.stop)
  try {
    await options.onSpawn?.(service.pid)
  } catch (error) {
    await service.stop()
    throw error
  }
  return service
}
