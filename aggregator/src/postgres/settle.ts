import type pg from 'pg'

export type StoredPart = { next: number; revision: number; token: string | null }

/**
 * Where partitions stand in the database: how a commit whose answer was lost is settled. The row is
 * locked for a moment, so that a transaction that is still deciding is waited for.
 */
export async function readParts(
  client: pg.ClientBase,
  schema: string,
  partitions: readonly number[],
): Promise<Map<number, StoredPart>> {
  const { rows } = await client.query<{
    partition: number
    next: string
    revision: string
    token: string | null
  }>(
    `select partition, next, revision, token from ${schema}.partitions
     where partition = any($1) order by partition for share`,
    [partitions],
  )
  return new Map(
    rows.map(({ partition, next, revision, token }) => [
      partition,
      { next: Number(next), revision: Number(revision), token },
    ]),
  )
}
