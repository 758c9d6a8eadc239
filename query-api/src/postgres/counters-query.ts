import { contractsFromJson, type Contracts } from '@countersink/shared/contracts'
import { generationSchema } from '@countersink/shared/postgres/pool'
import type { Database } from './database.ts'
import type { CounterInfo } from './world.ts'

type Row = { counter: number; name: string; sizes: string[] | null }

const COLUMNS = `c.counter, c.name,
  (select array_agg(w.size order by w.size) from SCHEMA.window_sizes w where w.counter = c.counter) as sizes`

/** The counters of these names; unknown ones are left out. */
export async function findCounters(
  database: Database,
  generation: number,
  names: readonly string[],
): Promise<CounterInfo[]> {
  const s = generationSchema(generation)
  const rows = await database.ask<Row>({
    name: `counters_${generation}`,
    text: `select ${COLUMNS.replace('SCHEMA', s)} from ${s}.counters c where c.name = any($1)`,
    values: [names],
  })
  return rows.map(infoOf)
}

/** Counters in the order of their names' bytes, those after `after`. */
export async function listCounters(
  database: Database,
  generation: number,
  after: string,
  limit: number,
): Promise<CounterInfo[]> {
  const s = generationSchema(generation)
  const rows = await database.ask<Row>({
    text: `select ${COLUMNS.replace('SCHEMA', s)} from ${s}.counters c
      where c.name > $1 order by c.name limit $2`,
    values: [after, limit],
  })
  return rows.map(infoOf)
}

function infoOf({ counter, name, sizes }: Row): CounterInfo {
  return { counter, name, sizes: (sizes ?? []).map(Number) }
}

/** The contracts that the partitions are counted under now: one, but for the moments of a change. */
export async function contractsInForce(
  database: Database,
  generation: number,
): Promise<Contracts[]> {
  const s = generationSchema(generation)
  const rows = await database.ask<{ body: string }>({
    name: `contracts_${generation}`,
    text: `select body from countersink.contract_versions where version in (
        select distinct on (partition) version from ${s}.partition_contracts
        order by partition, from_offset desc)`,
    values: [],
  })
  return rows.map(({ body }) => contractsFromJson(body))
}
