import type pg from 'pg'
import { type BenchServers, withClient } from '../servers.ts'
import { meterProcess } from '../usage.ts'

export type Costs = {
  cpuSeconds: { side: number; postgres: number; broker: number }
  /** Postgres' write-ahead log. */
  walBytes: number
  /** Handed to the file system by all three, the log and a last checkpoint included. */
  writtenBytes: number
  /** Of the side's process. */
  peakRssBytes: number
}

export type CostMeter = {
  /** From here on counts what the side's process, Postgres and the broker do. */
  begin: (sidePid: number) => Promise<void>
  end: () => Promise<void>
  /** After end(): lets Postgres write what it still holds back, and tells. */
  costs: () => Promise<Costs>
}

/** Measures what a side's process, Postgres and the broker spend, for as long as `work` takes. */
export async function withCostMeter<T>(
  servers: BenchServers,
  work: (meter: CostMeter) => Promise<T>,
): Promise<T> {
  return withClient(servers.databaseUrl, async (client) => {
    // What runs before have left to be written must not count for this one.
    await client.query('checkpoint')
    const { stop, ...meter } = costMeter(client, servers)
    try {
      return await work(meter)
    } finally {
      stop()
    }
  })
}

function costMeter(client: pg.Client, servers: BenchServers): CostMeter & { stop: () => void } {
  const metersOf = (sidePid: number) => ({
    side: meterProcess(sidePid),
    postgres: meterProcess(servers.postgresPid),
    broker: meterProcess(servers.kafkaPid),
  })
  let meters: ReturnType<typeof metersOf> | undefined
  let [walFirst, walLast] = [0, 0]
  return {
    begin: async (sidePid) => {
      meters = metersOf(sidePid)
      for (const meter of Object.values(meters)) meter.begin()
      walFirst = await walPosition(client)
    },
    end: async () => {
      for (const meter of Object.values(meters ?? {})) meter.end()
      walLast = await walPosition(client)
    },
    costs: async () => {
      if (meters === undefined) throw new Error('nothing was measured')
      await client.query('checkpoint')
      const side = meters.side.usage()
      const postgres = meters.postgres.usage()
      const broker = meters.broker.usage()
      return {
        cpuSeconds: {
          side: side.cpuSeconds,
          postgres: postgres.cpuSeconds,
          broker: broker.cpuSeconds,
        },
        walBytes: walLast - walFirst,
        writtenBytes: side.writtenBytes + postgres.writtenBytes + broker.writtenBytes,
        peakRssBytes: side.peakRssBytes,
      }
    },
    stop: () => {
      for (const meter of Object.values(meters ?? {})) meter.stop()
    },
  }
}

async function walPosition(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes`,
  )
  return Number(rows[0]?.bytes)
}
