import { join } from 'node:path'
import { composeServers } from './compose.ts'
import type { StackConfig } from './config.ts'
import { dockerEngineAnswers } from './docker-engine.ts'
import { ensureKafkaDistribution, hasKafkaDistribution } from './kafka-distribution.ts'
import { kafkaSpec } from './kafka-server.ts'
import type { DataPaths } from './paths.ts'
import { assertPortsFree, LOOPBACK, type Ports } from './ports.ts'
import { postgresServer } from './postgres-server.ts'
import { redisSpec } from './redis-server.ts'
import type { Report } from './report.ts'
import type { Supervisor } from './supervisor.ts'
import { findJava, findOnPath, missingTools, type Java } from './tools.ts'
import { KAFKA_VERSION, POSTGRES_VERSION } from './versions.ts'

/** Where the services find what they stand on. */
export type Backends = {
  kafkaBrokers: string
  databaseUrl: string
  redisUrl: string | undefined
  /** Ends what the supervisor does not know of (containers). */
  stop: () => Promise<void>
}

export type BackendContext = {
  config: StackConfig
  paths: DataPaths
  ports: Ports
  /** Checked together with those of the servers, so that one message names all that are taken. */
  servicePorts: readonly (readonly [string, number])[]
  supervisor: Supervisor
  report: Report
  signal: AbortSignal
}

/** Names of the children that services need; they are stopped after them. */
export const BACKEND_NAMES: ReadonlySet<string> = new Set(['kafka', 'postgres', 'redis'])

/** Starts the parts that are not the user's own, side by side, and waits until all are ready. */
export async function startBackends(context: BackendContext): Promise<Backends> {
  const { config } = context
  if (config.kafkaBrokers) return startLocal(context, undefined)
  const java = await findJava(config.environment)
  const canHaveKafka =
    hasKafkaDistribution(config.environment) || findOnPath('mvn', config.environment) !== undefined
  if (java && canHaveKafka) return startLocal(context, java)
  if (await dockerEngineAnswers(config.environment)) return startContainers(context)
  const missing = [...(java ? [] : ['java' as const]), ...(canHaveKafka ? [] : ['mvn' as const])]
  throw missingTools(
    missing,
    `Kafka ${KAFKA_VERSION} needs Java, and Maven to be downloaded, or a running Docker engine ` +
      `(docs.docker.com/engine/install), or KAFKA_BROKERS to point to a Kafka of yours.`,
  )
}

async function startLocal(context: BackendContext, java: Java | undefined): Promise<Backends> {
  const { config, ports, report } = context
  const redis =
    config.withRedis && !config.redisUrl
      ? findOnPath('redis-server', config.environment)
      : undefined
  await assertPortsFree([
    ...(java
      ? ([
          ['kafka', ports.kafka],
          ['kafka’s controller', ports.kafkaController],
        ] as const)
      : []),
    ...(config.databaseUrl ? [] : ([['postgres', ports.postgres]] as const)),
    ...(redis ? ([['redis', ports.redis]] as const) : []),
    ...context.servicePorts,
  ])
  let databaseUrl = config.databaseUrl ?? ''
  const starts: Promise<unknown>[] = []
  if (java) starts.push(report.step('kafka', startKafka(context, java)))
  else report.line(`  kafka: yours, ${config.kafkaBrokers?.join(',')} (KAFKA_BROKERS)`)
  if (config.databaseUrl) report.line('  postgres: yours (DATABASE_URL)')
  else
    starts.push(
      report.step(
        'postgres',
        startPostgres(context, (url) => (databaseUrl = url)),
      ),
    )
  if (redis) starts.push(report.step('redis', startRedis(context, redis)))
  else if (config.redisUrl) report.line('  redis: yours (REDIS_URL)')
  else
    report.line(`  redis: going without${config.withRedis ? ' (no redis-server on the PATH)' : ''}`)
  await allSettled(starts)
  return {
    kafkaBrokers: config.kafkaBrokers?.join(',') ?? `${LOOPBACK}:${ports.kafka}`,
    databaseUrl,
    redisUrl: config.redisUrl ?? (redis ? `redis://${LOOPBACK}:${ports.redis}` : undefined),
    stop: async () => {},
  }
}

/** Waits for all before it throws, so that nothing is still being started when others are stopped. */
async function allSettled(starts: Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(starts)).find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

async function startKafka(context: BackendContext, java: Java): Promise<string> {
  const { config, paths, ports, supervisor, report, signal } = context
  const env = config.environment
  const spec = await kafkaSpec({
    dir: paths.kafka,
    logPath: join(paths.logs, 'kafka.log'),
    port: ports.kafka,
    controllerPort: ports.kafkaController,
    java,
    distribution: await ensureKafkaDistribution(env, report.line, signal),
    env,
  })
  signal.throwIfAborted()
  await supervisor.add(spec)
  return `${KAFKA_VERSION} on port ${ports.kafka}`
}

async function startPostgres(
  context: BackendContext,
  found: (databaseUrl: string) => void,
): Promise<string> {
  const { config, paths, ports, supervisor, signal } = context
  const server = await postgresServer({
    dir: paths.postgres,
    logPath: join(paths.logs, 'postgres.log'),
    port: ports.postgres,
    env: config.environment,
  })
  signal.throwIfAborted()
  await supervisor.add(server.spec)
  found(server.databaseUrl())
  return `${POSTGRES_VERSION} on port ${ports.postgres}`
}

async function startRedis(context: BackendContext, program: string): Promise<string> {
  const { config, paths, ports, supervisor } = context
  const logPath = join(paths.logs, 'redis.log')
  const { redis: port } = ports
  await supervisor.add(
    await redisSpec({ dir: paths.redis, logPath, port, program, env: config.environment }),
  )
  return `on port ${port}`
}

/** The same from docker-compose.yml, as far as it is not the user's own. */
async function startContainers(context: BackendContext): Promise<Backends> {
  const { config, paths, ports, report } = context
  report.line('Java or Maven is missing; Docker’s engine answers, so it brings the servers.')
  const services = [
    'kafka',
    ...(config.databaseUrl ? [] : ['postgres']),
    ...(config.redisUrl || !config.withRedis ? [] : ['redis']),
  ]
  await assertPortsFree(context.servicePorts)
  const { dataDir } = paths
  const compose = composeServers({ dataDir, ports, services, environment: config.environment })
  await report.step(
    'containers',
    compose.start().then(() => services.join(', ')),
  )
  return {
    kafkaBrokers: compose.kafkaBrokers,
    databaseUrl: config.databaseUrl ?? compose.databaseUrl,
    redisUrl: config.redisUrl ?? (config.withRedis ? compose.redisUrl : undefined),
    stop: compose.stop,
  }
}
