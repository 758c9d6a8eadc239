import type pg from 'pg'

export type Beat = {
  /** Partitions whose row still has our token, and is not older than what we know of it. */
  ours: Set<number>
  /** partition -> offset at which an operator wants it to go on */
  decisions: Map<number, number>
}

/**
 * Says that the owner lives, and learns what changed meanwhile: lost rows, operators' decisions. A
 * row with our token but a smaller revision is a backup's: an owner without anything to commit would
 * otherwise never find out that the database went back.
 */
export async function beat(
  pool: pg.Pool,
  schema: string,
  owned: readonly { partition: number; token: string; revision: number }[],
): Promise<Beat> {
  const { rows } = await pool.query<{ partition: number; to_offset: string | null }>({
    name: `beat-${schema}`,
    text: `with beaten as (
        update ${schema}.partitions p set seen_at = now()
        from unnest($1::int[], $2::uuid[], $3::bigint[]) u (partition, token, revision)
        where p.partition = u.partition and p.token = u.token and p.revision >= u.revision
        returning p.partition)
      select partition, d.to_offset from beaten left join ${schema}.gap_decisions d using (partition)`,
    values: [
      owned.map(({ partition }) => partition),
      owned.map(({ token }) => token),
      owned.map(({ revision }) => revision),
    ],
  })
  const decided = rows.filter(({ to_offset }) => to_offset !== null)
  return {
    ours: new Set(rows.map(({ partition }) => partition)),
    decisions: new Map(decided.map((row) => [row.partition, Number(row.to_offset)])),
  }
}
