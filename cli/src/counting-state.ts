import {
  type Contracts,
  contractsFromJson,
  parseContracts,
  readContracts,
} from '@countersink/shared/contracts'
import { optionalSetting, type Settings } from './config.ts'
import { liveSchema, type Query, withDatabase } from './database.ts'

/** What decides whether an event will be late, as far as it can be found out. */
export type CountingState = {
  contracts: Contracts
  contractsFrom: string
  /** Largest `at` counted of a counter in a partition. */
  clockOf: (counter: string, partition: number) => number | undefined
}

type StoredState = {
  contracts: Contracts | undefined
  clocks: ReadonlyMap<string, number>
}

/**
 * The contracts come from the file that was named, else from those in force in Postgres, else they
 * are the defaults. Only a contract file that cannot be read is an error: without Postgres the
 * warnings are merely less sharp.
 */
export async function readCountingState(settings: Settings): Promise<CountingState> {
  const path = optionalSetting(settings, 'COUNTERSINK_CONTRACTS')
  const named = path === undefined ? undefined : readContracts(path)
  const stored = await storedState(optionalSetting(settings, 'DATABASE_URL'))
  const contracts = named ?? stored?.contracts
  return {
    contracts: contracts ?? parseContracts(''),
    contractsFrom: path ?? (stored?.contracts === undefined ? 'the defaults' : 'Postgres'),
    clockOf: (counter, partition) => stored?.clocks.get(clockKey(counter, partition)),
  }
}

function clockKey(counter: string, partition: number): string {
  return `${partition} ${counter}`
}

async function storedState(databaseUrl: string | undefined): Promise<StoredState | undefined> {
  if (databaseUrl === undefined) return undefined
  try {
    return await withDatabase(databaseUrl, readStoredState)
  } catch {
    return undefined
  }
}

async function readStoredState(query: Query): Promise<StoredState> {
  const schema = await liveSchema(query)
  const clocks = await query(
    `select c.name, p.partition, p.clock from ${schema}.partition_counters p
     join ${schema}.counters c using (counter)`,
  )
  const [version] = await query(
    `select v.body from ${schema}.partition_contracts p
     join countersink.contract_versions v using (version)
     order by v.version desc limit 1`,
  )
  return {
    contracts: version === undefined ? undefined : contractsFromJson(String(version['body'])),
    clocks: new Map(
      clocks.map((row) => [
        clockKey(String(row['name']), Number(row['partition'])),
        Number(row['clock']),
      ]),
    ),
  }
}
