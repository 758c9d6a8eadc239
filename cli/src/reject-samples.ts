import { parseEventBytes } from '@countersink/shared/event'
import { INVALID_REASONS, REASON_DETAILS } from '@countersink/shared/reasons'
import { liveSchema, type Query, type Row, withDatabase } from './database.ts'
import type { Sample } from './outcome-watch.ts'
import { printable } from './printable.ts'

/** Lines that are written about events that did not count. */
const LINES_MAX = 10

/**
 * Which events conflicted or were invalid, and why, as far as the rejects in Postgres say so: they
 * keep a bounded sample. Late events are left out, a second run has many. Never throws.
 */
export async function explainSamples(
  samples: readonly Sample[],
  databaseUrl: string,
): Promise<string[]> {
  const wanted = samples.filter((sample) => sample.outcome !== 'late').slice(0, LINES_MAX)
  if (wanted.length === 0) return []
  try {
    return await withDatabase(databaseUrl, async (query) => explain(query, wanted))
  } catch {
    return []
  }
}

async function explain(query: Query, samples: readonly Sample[]): Promise<string[]> {
  const schema = await liveSchema(query)
  const rows = await query(
    `select r.partition, r."offset", r.outcome, r.reason, r.value
     from ${schema}.rejects r
     join unnest($1::int[], $2::bigint[], $3::int[]) as s (partition, "offset", index)
       on s.partition = r.partition and s."offset" = r."offset" and s.index = r.index
     order by r.partition, r."offset", r.index`,
    [samples.map((s) => s.partition), samples.map((s) => s.offset), samples.map((s) => s.index)],
  )
  return rows.map(rejectLine)
}

function rejectLine(row: Row): string {
  const reason = INVALID_REASONS.find((known) => known === row['reason'])
  const parsed = Buffer.isBuffer(row['value']) ? parseEventBytes(row['value']) : undefined
  const who =
    parsed?.ok === true
      ? `event ${printable(parsed.event.id)} of ${printable(parsed.event.counter)}/${printable(parsed.event.key)}`
      : `the event at offset ${String(row['offset'])} of partition ${String(row['partition'])}`
  const why = reason === undefined ? '' : `: ${reason} (${REASON_DETAILS[reason]})`
  return `  ${String(row['outcome'])}: ${who}${why}`
}
