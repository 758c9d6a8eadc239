import { readOutcomes } from '@countersink/shared/outcomes'
import { generationSchema } from '@countersink/shared/postgres/pool'
import type { Database } from './database.ts'
import { addCommitOutcomes, endOutcomes, type OutcomePage } from '../core/outcome-page.ts'

const COMMITS_MAX = 200

type Row = {
  start: string
  position: string
  first: string | null
  next: string
  outcomes: Buffer
}

/** What became of the events of a partition in [from, to): undefined for an unknown partition. */
export async function readOutcomePage(
  database: Database,
  generation: number,
  partition: number,
  from: number,
  to: number,
): Promise<OutcomePage | undefined> {
  const s = generationSchema(generation)
  const rows = await database.ask<Row>({
    name: `outcomes_${generation}`,
    text: `
      select p.start, p.next as position, c.first, c.next, c.outcomes
      from ${s}.partitions p
      left join lateral (
        select first, next, outcomes from ${s}.commits
        where partition = p.partition and first < $3 and first >= coalesce(
          (select max(first) from ${s}.commits where partition = p.partition and first <= $2), 0)
        order by first limit ${COMMITS_MAX}
      ) c on true
      where p.partition = $1
      order by c.first`,
    values: [partition, from, to],
  })
  const head = rows[0]
  if (head === undefined) return undefined
  const page: OutcomePage = {
    start: Number(head.start),
    next: Number(head.position),
    outcomes: [],
    gaps: [],
    readTo: from,
  }
  let full = rows.length === COMMITS_MAX
  for (const { first, next, outcomes } of rows) {
    if (first === null) continue
    const commit = { first: Number(first), next: Number(next) }
    full = !addCommitOutcomes(page, commit, readOutcomes(outcomes, commit.first), to) || full
    if (page.readTo < commit.next) break
  }
  if (!full) endOutcomes(page, to)
  return page
}
