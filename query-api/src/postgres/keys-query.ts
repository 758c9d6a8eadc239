import { generationSchema } from '@countersink/shared/postgres/pool'
import type { Database } from './database.ts'
import { runsSql } from './series-runs.ts'

/**
 * Keys of a counter that begin with `prefix`, in the order of their bytes, those after `after`. Each
 * statement brings the next keys of all runs, up to where the first of them was read no further: two
 * or three do when keys of a range are in all runs, and a few more when they came one after another.
 */
export async function listKeys(
  database: Database,
  generation: number,
  counter: number,
  prefix: string,
  after: string,
  limit: number,
): Promise<string[]> {
  const keys: string[] = []
  let more = true
  for (let share = 1; more && keys.length < limit; share *= 2) {
    const from = keys.at(-1) ?? after
    const rows = await database.ask<{ key: string; more: boolean }>({
      name: `keys_${generation}`,
      text: keysSql(generationSchema(generation)),
      values: [counter, prefix, from, limit - keys.length, share],
    })
    for (const { key } of rows) keys.push(key)
    more = rows[0]?.more ?? false
  }
  return keys
}

/**
 * A run brings its part of twice the limit, by its size, and some more, `$5` times: so that the keys of
 * all runs up to the least of their last ones are hardly ever too few. It goes block by block from key
 * to key: a key with many breakdowns is passed at once.
 */
function keysSql(s: string): string {
  const ofRun = `b.counter = $1 and b.partition = r.partition and b.first = r.first`
  const size = 'r.until - r.first'
  /** Keys of the run behind `from`, at most `wanted` of one block; null when there are none. */
  const next = (from: string, least: string): string => `
    cross join lateral (
      select coalesce(
        nullif((
          select b.keys[p.place + ${least} : p.place + r.wanted]
          from ${s}.series_runs b
          cross join lateral (select width_bucket(${from}, b.keys) as place offset 0) p
          where ${ofRun} and b.from_key <= ${from}
          order by b.from_key desc, b.block desc limit 1
        ), '{}'), (
          select b.keys[1 : r.wanted] from ${s}.series_runs b
          where ${ofRun} and b.from_key > ${from} order by b.from_key, b.block limit 1
        )) as keys
      offset 0
    ) b
    cross join lateral (
      select b.keys[cardinality(b.keys)] as last, count(distinct u.key)::int as count
      from unnest(b.keys) u (key)
      offset 0
    ) c`
  // The first time a key may be the very one to begin with.
  const begin = `greatest($2::text collate "C", $3::text collate "C")`
  const equal = `(b.keys[p.place] <> ${begin} or p.place = 0)::int`
  return `
    with recursive ${runsSql(s, 'select $1::int')},
    sized as (
      select *, $5::int * ((2.0 * $4::int * (${size}) / sum(${size}) over ())::int + 16) as wanted
      from runs r
    ),
    parts (partition, first, wanted, keys, last, count) as (
      select r.partition, r.first, r.wanted, b.keys, c.last, c.count
      from sized r ${next(begin, equal)}
      union all
      select r.partition, r.first, r.wanted, b.keys, c.last, r.count + c.count
      from parts r ${next('r.last', '1')}
      where r.keys is not null and r.count < r.wanted and starts_with(r.last, $2)
    ),
    border (last) as (
      select min(last) from (
        select max(last) as last from parts group by partition, first having bool_and(keys is not null)
      ) runs
    )
    select distinct u.key collate "C" as key, coalesce(starts_with(border.last, $2), false) as more
    from parts cross join unnest(parts.keys) u (key) cross join border
    where starts_with(u.key, $2) and u.key > $3 and (u.key <= border.last) is not false
    order by key limit $4`
}
