import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processEnvironment } from '@countersink/local/config'
import { dockerEngineAnswers } from '@countersink/local/docker-engine'
import {
  startKafka,
  startPostgres,
  type OwnKafka,
  type OwnPostgres,
} from '@countersink/local/own-servers'
import { freePort, LOOPBACK } from '@countersink/local/ports'
import { singleNodeSettings } from '@countersink/local/kafka-server'
import { KAFKA_VERSION, POSTGRES_VERSION } from '@countersink/local/versions'
import { createLogger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'
import pg from 'pg'
import { GenericContainer, Wait } from 'testcontainers'

/** Where a test's broker and database are. */
export type Servers = {
  brokers: string
  /** URL of the maintenance database, from which test databases are made. */
  adminUrl: string
}

export type RunningServers = Servers & { where: string; stop: () => Promise<void> }

/** A broker and a database of one test file's own, to be killed and paused. */
export type OwnServers = Servers & {
  kafka: OwnKafka
  postgres: OwnPostgres
  dir: string
  stop: () => Promise<void>
}

/** Every test database is a copy of this one, which is quicker than migrating each. */
export const TEMPLATE_DATABASE = 'countersink_test_template'

/**
 * The servers of a project of tests: those of the environment (KAFKA_BROKERS and DATABASE_URL), else
 * containers when a Docker engine answers, else the local stack's pieces.
 */
export async function startTestServers(): Promise<RunningServers> {
  const environment = processEnvironment()
  const { KAFKA_BROKERS: brokers, DATABASE_URL: adminUrl } = environment
  const servers =
    brokers && adminUrl
      ? { brokers, adminUrl, where: 'the environment', stop: async () => {} }
      : (await dockerEngineAnswers(environment))
        ? await startContainers()
        : { ...(await startOwnServers()), where: 'the local stack' }
  try {
    await makeTemplate(servers.adminUrl)
    return servers
  } catch (error) {
    await servers.stop()
    throw error
  }
}

/** For tests that kill the broker or the database: nobody else uses these. */
export async function ownServers(options: { advertisedKafka?: string } = {}): Promise<OwnServers> {
  const servers = await startOwnServers(options.advertisedKafka)
  await makeTemplate(servers.adminUrl)
  return servers
}

async function startOwnServers(advertised?: string): Promise<OwnServers> {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-test-'))
  const options = { dir, environment: processEnvironment() }
  const kafkaStart = startKafka({ ...options, ...(advertised && { advertised }) })
  const postgresStart = startPostgres(options)
  const stop = async (): Promise<void> => {
    const started = await Promise.allSettled([kafkaStart, postgresStart])
    for (const one of started) if (one.status === 'fulfilled') await one.value.stop()
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const [kafka, postgres] = await Promise.all([kafkaStart, postgresStart])
    const adminUrl = postgres.databaseUrl('postgres')
    return { kafka, postgres, brokers: kafka.brokers, adminUrl, dir, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startContainers(): Promise<RunningServers> {
  const port = await freePort()
  const kafka = await new GenericContainer(`apache/kafka:${KAFKA_VERSION}`)
    // The broker tells its clients where it is, so its port outside must be known beforehand.
    .withExposedPorts({ container: 9092, host: port })
    .withEnvironment(containerKafkaEnvironment(port))
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .start()
  const postgres = await new GenericContainer(`postgres:${POSTGRES_VERSION}`)
    .withExposedPorts(5432)
    .withEnvironment({ POSTGRES_USER: 'countersink', POSTGRES_PASSWORD: 'countersink' })
    .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
    .start()
  const address = `${postgres.getHost()}:${postgres.getMappedPort(5432)}`
  return {
    brokers: `${LOOPBACK}:${port}`,
    adminUrl: `postgres://countersink:countersink@${address}/postgres`,
    where: 'Docker',
    stop: async () => {
      await Promise.all([kafka.stop(), postgres.stop()])
    },
  }
}

function containerKafkaEnvironment(port: number): Record<string, string> {
  const settings = {
    'node.id': 1,
    'process.roles': 'broker,controller',
    'controller.quorum.voters': '1@localhost:9093',
    listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093',
    'advertised.listeners': `PLAINTEXT://${LOOPBACK}:${port}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    ...singleNodeSettings,
  }
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      return [`KAFKA_${name.toUpperCase().replaceAll('.', '_')}`, String(value)]
    }),
  )
}

async function makeTemplate(adminUrl: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  try {
    await admin.query(`drop database if exists ${TEMPLATE_DATABASE} with (force)`)
    await admin.query(`create database ${TEMPLATE_DATABASE}`)
  } finally {
    await admin.end()
  }
  await migrate(databaseUrl(adminUrl, TEMPLATE_DATABASE), createLogger('test', 'warn'))
}

/** The same server, another database. */
export function databaseUrl(adminUrl: string, database: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${database}`
  return url.href
}
