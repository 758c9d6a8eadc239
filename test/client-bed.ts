import pg from 'pg'
import { createTestBed } from './stack.ts'

/** A database of its own and a client of it, for tests that drive a partition without a process. */
export type ClientBed = { client: pg.Client; stop(): Promise<void> }

export async function createClientBed(): Promise<ClientBed> {
  const bed = await createTestBed({ partitions: 1 })
  const client = new pg.Client({ connectionString: bed.databaseUrl })
  await client.connect()
  await client.query('set synchronous_commit = off')
  return {
    client,
    async stop() {
      await client.end()
      await bed.stop()
    },
  }
}
