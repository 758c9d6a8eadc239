import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processEnvironment } from '@countersink/local/config'
import { startKafka, startPostgres } from '@countersink/local/own-servers'
import { ensureTopic, withAdmin } from '@countersink/local/topic'
import { createLogger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'
import pg from 'pg'
import { whenEndedEarly } from './ended-early.ts'

export type BenchServers = {
  brokers: string
  /** Migrated and empty at first. */
  databaseUrl: string
  /** The broker's process. */
  kafkaPid: number
  /** The first of the server's processes; the others are its children. */
  postgresPid: number
  /** A directory of this run's own, removed by stop(). */
  dir: string
  makeTopic: (topic: string, partitions: number) => Promise<void>
  deleteTopic: (topic: string) => Promise<void>
  /** The URL of one more database, empty but for our migrations if they are asked for. */
  makeDatabase: (name: string, options: { migrated: boolean }) => Promise<string>
  dropDatabase: (name: string) => Promise<void>
  stop: () => Promise<void>
}

/** A broker and a Postgres of this run's own, on free ports. */
export async function startServers(): Promise<BenchServers> {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-bench-'))
  const options = { dir, environment: processEnvironment() }
  const starts = await Promise.allSettled([startKafka(options), startPostgres(options)])
  const stop = async (): Promise<void> => {
    isDone()
    for (const start of starts) if (start.status === 'fulfilled') await start.value.stop()
    await rm(dir, { recursive: true, force: true })
  }
  const isDone = whenEndedEarly(stop)
  const [kafka, postgres] = starts
  if (kafka.status === 'rejected' || postgres.status === 'rejected') {
    await stop()
    throw new Error('the servers did not start', {
      cause: kafka.status === 'rejected' ? kafka.reason : Reflect.get(postgres, 'reason'),
    })
  }
  const { brokers } = kafka.value
  const { databaseUrl } = postgres.value
  const logger = createLogger('bench', 'silent')
  await migrate(databaseUrl(), logger)
  return {
    brokers,
    databaseUrl: databaseUrl(),
    kafkaPid: runningPid(kafka.value),
    postgresPid: runningPid(postgres.value),
    dir,
    makeTopic: async (topic, partitions) => {
      await ensureTopic(brokers.split(','), topic, partitions)
    },
    deleteTopic: async (topic) => {
      await withAdmin(brokers.split(','), (admin) => admin.deleteTopic(topic))
    },
    makeDatabase: async (name, { migrated }) => {
      await withClient(databaseUrl(), (client) => client.query(`create database ${name}`))
      if (migrated) await migrate(databaseUrl(name), logger)
      return databaseUrl(name)
    },
    dropDatabase: async (name) => {
      const text = `drop database if exists ${name} with (force)`
      await withClient(databaseUrl(), (client) => client.query(text))
    },
    stop,
  }
}

/** One connection for one piece of work. */
export async function withClient<T>(
  databaseUrl: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function runningPid(server: { name: string; pid: () => number | undefined }): number {
  const pid = server.pid()
  if (pid === undefined) throw new Error(`${server.name} is not running`)
  return pid
}
