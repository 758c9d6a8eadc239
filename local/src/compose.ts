import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { CountersinkError } from '@countersink/shared/errors'
import { PROJECT_ROOT } from './paths.ts'
import { LOOPBACK, type Ports } from './ports.ts'
import { findOnPath, missingTools } from './tools.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type ComposeOptions = {
  dataDir: string
  ports: Ports
  services: readonly string[]
  environment: Environment
}

/** Kafka, Postgres and Redis as containers: for machines with Docker and without Java or Maven. */
export type ComposeServers = {
  start: () => Promise<void>
  stop: () => Promise<void>
  kafkaBrokers: string
  databaseUrl: string
  redisUrl: string
}

export function composeServers(options: ComposeOptions): ComposeServers {
  const { ports, environment } = options
  // A project a data directory: its containers and volumes are found again at the next start.
  const id = createHash('sha256').update(options.dataDir).digest('hex').slice(0, 10)
  const compose = [
    'compose',
    '-f',
    join(PROJECT_ROOT, 'docker-compose.yml'),
    '-p',
    `countersink-${id}`,
  ]
  let started = false

  async function run(args: readonly string[]): Promise<void> {
    const docker = findOnPath('docker', environment)
    if (!docker) throw missingTools(['docker'], 'Docker’s engine answers, its client is missing.')
    const child = spawn(docker, [...compose, ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...environment,
        COUNTERSINK_KAFKA_PORT: String(ports.kafka),
        COUNTERSINK_POSTGRES_PORT: String(ports.postgres),
        COUNTERSINK_REDIS_PORT: String(ports.redis),
      },
    })
    const { promise, resolve } = Promise.withResolvers<string>()
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(code === 0 ? '' : (signal ?? `code ${code}`)))
    const problem = await promise
    if (problem === '') return
    throw new CountersinkError('TOOL_MISSING', `docker compose failed (${problem}), see above`)
  }

  return {
    start: async () => {
      started = true
      await run(['up', '--detach', '--wait', ...options.services])
    },
    stop: async () => {
      if (started) await run(['stop'])
      started = false
    },
    kafkaBrokers: `${LOOPBACK}:${ports.kafka}`,
    databaseUrl: `postgres://countersink:countersink@${LOOPBACK}:${ports.postgres}/countersink`,
    redisUrl: `redis://${LOOPBACK}:${ports.redis}`,
  }
}
