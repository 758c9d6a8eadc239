import { setImmediate } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import type pg from 'pg'
import { payloadIn } from '../core/ids/cold-blocks.ts'
import type { ColdQuestion } from '../core/ids/cold-ids.ts'
import { ColdRunBuilder } from '../core/ids/cold-run.ts'
import { ID_WORDS } from '../core/ids/id-shape.ts'
import type { PartitionState } from '../core/partition-state.ts'
import { copyOut } from './copy-out.ts'
import type { CounterIds } from './counter-ids.ts'

const ROWS_PER_READ_MAX = 1024
const ID_BYTES = ID_WORDS * 4

/**
 * Looks for ids in the rows that would have them: one round trip. Gives the payload of each
 * question's id, undefined where it is not there. Throws POSTGRES_REFUSED when rows are missing: the
 * database is not the one that they were written to.
 */
export async function readColdIds(
  client: pg.ClientBase,
  schema: string,
  counterIds: CounterIds,
  state: PartitionState,
  questions: readonly ColdQuestion[],
): Promise<(number | undefined)[]> {
  const asked = questions.map(({ run, id }, i) => {
    const counter = counterIds.of(state.counters.list[run.counter]!.name)
    return `(${i},${counter},${run.end}::int8,${run.through}::int8,${id[0]! >>> 0}::int8)`
  })
  const rows = await copyOut(
    client,
    `select u.i, c.whole, c.ids from (values ${asked.join()}) u (i, counter, bucket_end, through, h)
     cross join lateral (select whole, ids from ${schema}.cold_ids c
       where c.partition = ${state.partition} and c.counter = u.counter
         and c.bucket_end = u.bucket_end and c.through = u.through and c.first <= u.h
       order by c.first desc limit 1) c`,
  )
  if (rows.length !== questions.length) {
    throw new CountersinkError('POSTGRES_REFUSED', 'ids that were stored are not there')
  }
  const payloads: (number | undefined)[] = []
  for (const [i, whole, ids] of rows) {
    const number = i!.readInt32BE()
    payloads[number] = payloadIn(ids!, whole![0] === 1, questions[number]!.id)
  }
  return payloads
}

type RunRow = { counter: number; bucket_end: string; through: string; count: string }

/** Filters of the runs that are stored and not late by now; for the others the deletion is noted. */
export async function loadColdRuns(
  client: pg.ClientBase,
  { schema, signal }: { schema: string; signal: AbortSignal },
  state: PartitionState,
  ordinals: ReadonlyMap<number, number>,
): Promise<void> {
  const { hashed } = state.ids
  const { rows } = await client.query<RunRow>(
    `select counter, bucket_end, through, sum(octet_length(ids)) / ${ID_BYTES} as count
     from ${schema}.cold_ids where partition = $1 group by 1, 2, 3 order by 1, 2, 3`,
    [state.partition],
  )
  for (const row of rows) {
    const ordinal = ordinals.get(row.counter)
    if (ordinal === undefined) throw new RangeError(`ids of the unknown counter ${row.counter}`)
    const { clock, latenessMs } = state.counters.list[ordinal]!
    const key = { counter: ordinal, end: Number(row.bucket_end), through: Number(row.through) }
    if (key.end <= clock - latenessMs) {
      hashed.cold.noteExpired(key)
      continue
    }
    const builder = new ColdRunBuilder(key, Number(row.count))
    const ours = `partition = ${state.partition} and counter = ${row.counter}
      and bucket_end = ${key.end} and through = ${key.through}`
    for (let from = 0; from >= 0;) {
      signal.throwIfAborted()
      from = await addRows(client, schema, `${ours} and first >= ${from}`, builder)
    }
    if (builder.count !== Number(row.count)) throw new RangeError('stored ids have changed')
    // The commits say which is the first that has some of them.
    hashed.bucket(ordinal, key.end, state.next)
    hashed.cold.add(builder.end())
  }
}

/** Adds the ids of some rows; gives where the next ones begin, -1 behind the last. */
async function addRows(
  client: pg.ClientBase,
  schema: string,
  condition: string,
  builder: ColdRunBuilder,
): Promise<number> {
  const rows = await copyOut(
    client,
    `select first, ids from ${schema}.cold_ids where ${condition}
     order by first limit ${ROWS_PER_READ_MAX}`,
  )
  for (const [, ids] of rows) {
    const words = new Int32Array(ids!.length / 4)
    Buffer.from(words.buffer).set(ids!)
    builder.add(words, words.length / ID_WORDS)
    await setImmediate()
  }
  const last = rows.at(-1)
  return rows.length < ROWS_PER_READ_MAX ? -1 : Number(last![0]!.readBigInt64BE()) + 1
}
