/**
 * The runs of counters in all partitions, as the body of a recursive `runs` (counter, partition,
 * first, until): from the run at slot 0 on the next one begins where one ends, an index probe each.
 * `counters` is SQL of a set of one column.
 */
export function runsSql(schema: string, counters: string): string {
  const runAt = (counter: string, first: string): string => `
    cross join lateral (
      select r.first, r.until from ${schema}.series_runs r
      where r.counter = ${counter} and r.partition = p.partition and r.first = ${first}
      limit 1
    ) r`
  return `
    runs (counter, partition, first, until) as (
      select c.counter, p.partition, r.first, r.until
      from (${counters}) c (counter) cross join ${schema}.partitions p
      ${runAt('c.counter', '0')}
      union all
      select p.counter, p.partition, r.first, r.until from runs p
      ${runAt('p.counter', 'p.until')}
    )`
}
