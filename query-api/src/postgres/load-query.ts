import { generationSchema } from '@countersink/shared/postgres/pool'
import type { ClientBase } from 'pg'
import type { LoadedPartition } from '../core/tail-state.ts'
import { parseNumbers } from './array-text.ts'

export type Loaded = {
  generation: number
  /** The topic that the generation counts; undefined before anybody has counted. */
  topic: string | undefined
  /** Signs cursors. */
  secret: Buffer
  partitions: LoadedPartition[]
}

/** Where a tail begins: every partition's floor, clocks and greatest slots, in one snapshot. */
export async function load(client: ClientBase): Promise<Loaded | undefined> {
  await client.query('begin isolation level repeatable read read only')
  try {
    const { rows } = await client.query<{
      generation: number
      topic: string | null
      value: Buffer
    }>(
      `select g.generation, g.topic, s.value
       from countersink.generations g, countersink.secret s where g.state = 'live'`,
    )
    const live = rows[0]
    if (live === undefined) return undefined
    const { generation, topic, value } = live
    const partitions = await loadPartitions(client, generationSchema(generation))
    return { generation, topic: topic ?? undefined, secret: value, partitions }
  } finally {
    await client.query('rollback')
  }
}

async function loadPartitions(client: ClientBase, schema: string): Promise<LoadedPartition[]> {
  const { rows } = await client.query<{
    partition: number
    next: string
    floor: string
    append_max: string
    clocks: string | null
    slots: string | null
  }>(
    `select p.partition, p.next, p.floor, p.append_max,
       array_agg(array[pc.counter, pc.clock]) filter (where pc.counter is not null)::text as clocks,
       array_agg(array[pc.counter, s.slot]) filter (where s.slot is not null)::text as slots
     from ${schema}.partitions p
     left join ${schema}.partition_counters pc using (partition)
     left join lateral (
       select until - 1 as slot from ${schema}.series_runs
       where counter = pc.counter and partition = p.partition
       order by first desc limit 1
     ) s on true
     group by p.partition`,
  )
  return rows.map(({ partition, next, floor, append_max, clocks, slots }) => ({
    partition,
    next: Number(next),
    floor: Number(floor),
    appendMax: Number(append_max),
    clocks: pairsOf(clocks),
    slots: pairsOf(slots),
  }))
}

/** `{{1,2},{3,4}}` as 1, 2, 3, 4. */
function pairsOf(text: string | null): number[] {
  return text === null ? [] : parseNumbers(`{${text.replaceAll(/[{}]/g, '')}}`)
}
