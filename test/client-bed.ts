import pg from 'pg'
import { createTestBed } from './stack.ts'

/** A database's clients, as an aggregator has them. */
export type Clients = {
  client: pg.Client
  /** Commits, with all statements of one in one flight. */
  writer: pg.Client
}

/** A database of its own and clients of it, for tests that drive a partition without a process. */
export type ClientBed = Clients & { stop(): Promise<void> }

export async function createClientBed(): Promise<ClientBed> {
  const bed = await createTestBed({ partitions: 1 })
  const client = new pg.Client({ connectionString: bed.databaseUrl })
  const writer = new pg.Client({ connectionString: bed.databaseUrl, pipeline: true })
  for (const one of [client, writer]) {
    await one.connect()
    await one.query('set synchronous_commit = off')
  }
  return {
    client,
    writer,
    async stop() {
      await client.end()
      await writer.end()
      await bed.stop()
    },
  }
}
