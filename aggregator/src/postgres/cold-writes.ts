import { setImmediate } from 'node:timers/promises'
import { sqlState } from '@countersink/shared/postgres/pool'
import type pg from 'pg'
import { type ColdBlock, ColdBlocks } from '../core/ids/cold-blocks.ts'
import { type ColdRun, ColdRunBuilder } from '../core/ids/cold-run.ts'
import type { CoolingIds, IdMemory } from '../core/ids/id-memory.ts'
import { int4s, int8s } from './binary-arrays.ts'

/** Rows of one statement, and segments read in one turn. */
const BLOCKS_PER_INSERT = 64
const SEGMENTS_PER_TURN = 64
const DIVISION_BY_ZERO = '22012'

export type ColdWrite = {
  schema: string
  partition: number
  token: string
  /** The counter's number in the tables. */
  counter: number
  ids: IdMemory
  cooling: CoolingIds
  /** True when the state was dropped meanwhile. */
  isLost: () => boolean
}

/**
 * Writes the ids of a bucket, as one run, in one transaction. It ends by asking, in the statement
 * before COMMIT and in the same message, whether the partition is still ours and all commits are
 * there that the ids are of: then what was written is what any owner would have to write, and it is
 * there as a whole or not at all. Gives the run; undefined when the ids are not needed any more, or
 * not ours, or not all in commits yet.
 */
export async function writeColdRun(
  client: pg.ClientBase,
  write: ColdWrite,
): Promise<ColdRun | undefined> {
  await client.query('begin')
  try {
    const run = await writeRows(client, write)
    if (run !== undefined) {
      await client.query(fencedCommit(write))
      return run
    }
    await client.query('rollback')
    return undefined
  } catch (error) {
    await client.query('rollback').catch(() => {})
    if (sqlState(error) === DIVISION_BY_ZERO) return undefined
    throw error
  }
}

async function writeRows(client: pg.ClientBase, write: ColdWrite): Promise<ColdRun | undefined> {
  const { schema, partition, counter, ids, cooling, isLost } = write
  // A try whose answer was lost may have written them.
  await client.query(
    `delete from ${schema}.cold_ids
     where partition = $1 and counter = $2 and bucket_end = $3 and through = $4`,
    [partition, counter, cooling.end, cooling.through],
  )
  const reader = ids.readCooling(cooling)
  const builder = new ColdRunBuilder(cooling, cooling.count)
  const blocks = new ColdBlocks()
  let full: ColdBlock[] = []
  for (let turn = 0; !cooling.isDead && !isLost(); turn++) {
    if (!reader.next()) {
      await insert(client, write, [...full, ...blocks.end()])
      return builder.end()
    }
    builder.add(reader.words, reader.count)
    full.push(...blocks.add(reader.words, reader.count, reader.isWhole))
    if (full.length >= BLOCKS_PER_INSERT) {
      await insert(client, write, full)
      full = []
    } else if (turn % SEGMENTS_PER_TURN === 0) {
      await setImmediate()
    }
  }
  return undefined
}

/** The blocks travel as one value, which is cut where they are stored. */
async function insert(
  client: pg.ClientBase,
  { schema, partition, counter, cooling }: ColdWrite,
  blocks: readonly ColdBlock[],
): Promise<void> {
  const bodies = blocks.map(({ words }) =>
    Buffer.from(words.buffer, words.byteOffset, words.byteLength),
  )
  const starts: number[] = []
  let length = 0
  for (const body of bodies) {
    starts.push(length + 1)
    length += body.length
  }
  await client.query(
    `insert into ${schema}.cold_ids (partition, counter, bucket_end, through, first, whole, ids)
     select $1, $2, $3, $4, u.first, u.whole = 1, substring($9::bytea from u.start for u.length)
     from unnest($5::int8[], $6::int4[], $7::int4[], $8::int4[]) u (first, whole, start, length)`,
    [
      ...[partition, counter, cooling.end, cooling.through],
      int8s(blocks.map(({ first }) => first)),
      int4s(blocks.map(({ whole }) => (whole ? 1 : 0))),
      int4s(starts),
      int4s(bodies.map(({ length: bytes }) => bytes)),
      Buffer.concat(bodies),
    ],
  )
}

/**
 * One message, so that a process that is stopped keeps nobody waiting for the row. Where it is not
 * ours the division fails, and COMMIT is not carried out. It cannot have parameters.
 */
function fencedCommit({ schema, partition, token, cooling }: ColdWrite): string {
  return `select 1 / (select count(*) from (
      select from ${schema}.partitions
      where partition = ${partition} and token = '${token}' and next >= ${cooling.through}
      for share) ours);
    commit`
}

/** True when the commits that a cooling bucket's ids are of are there; undefined: not ours. */
export async function isReached(
  client: pg.ClientBase | pg.Pool,
  { schema, partition, token, cooling }: ColdWrite,
): Promise<boolean | undefined> {
  const { rows } = await client.query<{ reached: boolean }>(
    `select next >= $3 as reached from ${schema}.partitions where partition = $1 and token = $2`,
    [partition, token, cooling.through],
  )
  return rows[0]?.reached
}
