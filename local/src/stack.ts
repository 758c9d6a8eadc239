import { mkdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { writeFileAtomic } from './atomic-file.ts'
import { BACKEND_NAMES, startBackends, type Backends } from './backends.ts'
import { createChildRegister } from './child-register.ts'
import type { StackConfig } from './config.ts'
import { dataDirContracts } from './data-dir-contracts.ts'
import { dataPaths, type DataPaths } from './paths.ts'
import { aggregatorName, LOOPBACK, portLayout } from './ports.ts'
import type { Report } from './report.ts'
import { serviceSpec, type ServiceKind } from './service-specs.ts'
import { createSupervisor } from './supervisor.ts'
import { ensureRouting, ensureTopic } from './topic.ts'

export type Stack = {
  /** Starts everything and resolves with what `local.env` holds when all of it is ready. */
  start: () => Promise<Record<string, string>>
  /** Services first, then what they stand on; each within its bound. Idempotent. */
  stop: () => Promise<void>
  killAll: () => void
}

/**
 * A dead member's partitions must be counted again within 8 s: 4 s until the group notices, the
 * rest for joining and loading.
 */
const SESSION_TIMEOUT_MS = 4000

type Service = { kind: ServiceKind; name: string; port: number }

/** Makes the directories of a stack and gives their real paths, by which processes are recognised. */
export function prepareDataDir(dataDir: string): DataPaths {
  mkdirSync(dataDir, { recursive: true })
  const paths = dataPaths(realpathSync(dataDir))
  mkdirSync(paths.logs, { recursive: true })
  mkdirSync(paths.services, { recursive: true })
  return paths
}

/** The whole local stack on a data directory that this process has locked. */
export function createStack(config: StackConfig, paths: DataPaths, report: Report): Stack {
  const ports = portLayout(config.portBase, config.aggregatorCount)
  const register = createChildRegister(paths)
  const supervisor = createSupervisor({ register, logsDir: paths.logs, say: report.line })
  // Before the first server makes the directory look used.
  const contractsFile = dataDirContracts(config, paths)
  const stopping = new AbortController()
  const { signal } = stopping
  let backends: Backends | undefined

  const services: Service[] = [
    ...ports.aggregators.map((port, index): Service => {
      return { kind: 'aggregator', name: aggregatorName(index), port }
    }),
    { kind: 'query-api', name: 'query-api', port: ports.queryApi },
    { kind: 'gateway', name: 'gateway', port: ports.gateway },
  ]

  async function start(): Promise<Record<string, string>> {
    const servicePorts = services.map(({ name, port }) => [name, port] as const)
    const context = { config, paths, ports, servicePorts, supervisor, report, signal }
    backends = await startBackends(context)
    signal.throwIfAborted()
    await makeTopic(backends.kafkaBrokers)
    signal.throwIfAborted()
    const connections = connectionsOf(backends, config.topic, contractsFile)
    await Promise.all(services.map((service) => startService(service, connections)))
    signal.throwIfAborted()
    const localEnv = {
      ...connections,
      COUNTERSINK_API: `http://${LOOPBACK}:${ports.queryApi}`,
      COUNTERSINK_GATEWAY: `http://${LOOPBACK}:${ports.gateway}`,
    }
    const lines = Object.entries(localEnv).map(([name, value]) => `${name}=${value}\n`)
    // The database's password is in it.
    writeFileAtomic(paths.localEnv, lines.join(''), 0o600)
    return localEnv
  }

  async function makeTopic(brokers: string): Promise<void> {
    try {
      const isNew = await ensureTopic(brokers.split(','), config.topic, config.partitions)
      await ensureRouting(brokers.split(','), config.topic)
      if (isNew) report.line(`  ${config.topic} made, with ${config.partitions} partitions`)
    } catch (error) {
      if (!config.kafkaBrokers) throw error
      const what = `KAFKA_BROKERS is set to ${brokers}, but: ${messageOf(error)}. Unset it to start Kafka here.`
      throw new CountersinkError('KAFKA_UNAVAILABLE', what, { cause: error })
    }
  }

  async function startService(service: Service, env: Record<string, string>): Promise<void> {
    const spec = serviceSpec({
      ...service,
      cwd: paths.services,
      logPath: join(paths.logs, `${service.name}.log`),
      env: {
        ...config.environment,
        ...env,
        COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
      },
    })
    await report.step(
      service.name,
      supervisor.add(spec).then(() => `on port ${service.port}`),
    )
  }

  async function stop(): Promise<void> {
    stopping.abort()
    rmSync(paths.localEnv, { force: true })
    await supervisor.stop(new Set(services.map((service) => service.name)))
    await supervisor.stop(BACKEND_NAMES)
    await supervisor.stop()
    await backends?.stop()
  }

  return { start, stop, killAll: supervisor.killAll }
}

/** What every service, the command line and a test need to know. */
function connectionsOf(
  backends: Backends,
  topic: string,
  contractsFile: string | undefined,
): Record<string, string> {
  return {
    KAFKA_BROKERS: backends.kafkaBrokers,
    DATABASE_URL: backends.databaseUrl,
    ...(backends.redisUrl && { REDIS_URL: backends.redisUrl }),
    COUNTERSINK_TOPIC: topic,
    ...(contractsFile && { COUNTERSINK_CONTRACTS: contractsFile }),
  }
}
