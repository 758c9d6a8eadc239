import { int4s, int8s } from './binary-arrays.ts'

/** A partition as the compare-and-set of this transaction left it, if it succeeded. */
export type MovedPartition = { partition: number; token: string; revision: number }

/**
 * A common table expression `moved (partition)`: those of the parts, given as parameters $1 to $3,
 * that the transaction has moved. What follows the compare-and-set in the same flight takes only
 * their rows, since it is sent before anybody knows which ones are fenced. Token and revision are
 * not enough: after a lost answer they are those of our own first try, which wrote these rows.
 */
export function movedPartitions(schema: string): string {
  return `moved as materialized (
    select partition from unnest($1::int[], $2::uuid[], $3::bigint[]) m (partition, token, revision)
    join ${schema}.partitions p using (partition)
    where p.token = m.token and p.revision = m.revision
      and p.xmin = pg_current_xact_id()::xid)`
}

/** The parameters $1 to $3 of movedPartitions. */
export function movedParameters(parts: readonly MovedPartition[]): unknown[] {
  return [
    int4s(parts.map(({ partition }) => partition)),
    parts.map(({ token }) => token),
    int8s(parts.map(({ revision }) => revision)),
  ]
}
