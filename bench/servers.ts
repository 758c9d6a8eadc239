import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processEnvironment } from '@countersink/local/config'
import { startKafka, startPostgres } from '@countersink/local/own-servers'
import { ensureTopic } from '@countersink/local/topic'
import { createLogger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'

export type BenchServers = {
  brokers: string
  databaseUrl: string
  /** A directory of this run's own, removed by stop(). */
  dir: string
  makeTopic: (topic: string, partitions: number) => Promise<void>
  stop: () => Promise<void>
}

/** A broker and a migrated, empty database of this run's own, on free ports. */
export async function startServers(): Promise<BenchServers> {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-bench-'))
  const options = { dir, environment: processEnvironment() }
  const starts = await Promise.allSettled([startKafka(options), startPostgres(options)])
  const stop = async (): Promise<void> => {
    for (const start of starts) if (start.status === 'fulfilled') await start.value.stop()
    await rm(dir, { recursive: true, force: true })
  }
  const [kafka, postgres] = starts
  if (kafka.status === 'rejected' || postgres.status === 'rejected') {
    await stop()
    throw new Error('the servers did not start', {
      cause: kafka.status === 'rejected' ? kafka.reason : Reflect.get(postgres, 'reason'),
    })
  }
  const { brokers } = kafka.value
  const databaseUrl = postgres.value.databaseUrl()
  await migrate(databaseUrl, createLogger('bench', 'silent'))
  return {
    brokers,
    databaseUrl,
    dir,
    makeTopic: async (topic, partitions) => {
      await ensureTopic(brokers.split(','), topic, partitions)
    },
    stop,
  }
}
