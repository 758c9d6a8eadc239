import { generationSchema } from '@countersink/shared/postgres/pool'
import type { ClientBase } from 'pg'
import type { DeltaRow, PolledCommit, PolledPartition } from '../core/tail-state.ts'
import { parseInt32s, parseInt64s, parseNumbers } from './array-text.ts'

export type Poll = {
  /** The live generation in this snapshot. */
  generation: number
  partitions: PolledPartition[]
}

/** Commits of one partition in one poll: a second of the quickest, and no answer without end. */
const COMMITS_MAX = 64
/**
 * A commit with more events than this comes from catching up. When the floor has passed it, its
 * pages have it, and reading them again is cheaper than reading its deltas.
 */
const SMALL_COMMIT_EVENTS_MAX = 20_000

/**
 * The commits since the last poll of all partitions at once, in one statement, that is one snapshot.
 * Accepted gaps are links of the chain like commits, without deltas.
 */
function pollSql(generation: number): string {
  const s = generationSchema(generation)
  return `
    select g.generation, p.partition, p.next, p.floor, p.append_max,
      c.first, c.next, c.clocks, c.left_out, d.counter, d.start, d.slots, d.deltas, d.carries
    from countersink.generations g
    left join ${s}.partitions p on true
    left join unnest($1::int[], $2::bigint[]) k (partition, next) on k.partition = p.partition
    left join lateral (
      select * from (
        (select first, next, clocks,
           first < p.floor and applied > ${SMALL_COMMIT_EVENTS_MAX} as left_out
         from ${s}.commits
         where partition = p.partition and first >= coalesce(k.next, p.floor)
         order by first limit ${COMMITS_MAX})
        union all
        select from_offset, to_offset, '{}', false
        from ${s}.gaps
        where partition = p.partition and from_offset >= coalesce(k.next, p.floor)
          and to_offset > from_offset
      ) links
      order by first limit ${COMMITS_MAX}
    ) c on p.next > coalesce(k.next, p.floor)
    left join ${s}.window_deltas d
      on d.partition = p.partition and d.first = c.first and not c.left_out
    where g.state = 'live'`
}

type Row = [
  generation: string,
  partition: string | null,
  next: string,
  floor: string,
  appendMax: string,
  first: string | null,
  commitNext: string,
  clocks: string,
  leftOut: string,
  counter: string | null,
  start: string,
  slots: string,
  deltas: string,
  carries: string | null,
]

const asText = { getTypeParser: () => (value: unknown) => value }

export async function poll(
  client: ClientBase,
  generation: number,
  known: ReadonlyMap<number, number>,
): Promise<Poll> {
  const { rows } = await client.query<Row>({
    name: `poll_${generation}`,
    text: pollSql(generation),
    values: [[...known.keys()], [...known.values()]],
    rowMode: 'array',
    types: asText,
  })
  return { generation: Number(rows[0]?.[0] ?? 0), partitions: gather(rows) }
}

type Gathered = Omit<PolledPartition, 'commits'> & { commits: Map<string, GatheredCommit> }
type GatheredCommit = Omit<PolledCommit, 'rows'> & { rows: DeltaRow[] | undefined }

function gather(rows: readonly Row[]): PolledPartition[] {
  const partitions = new Map<string, Gathered>()
  for (const row of rows) {
    const [, partition, next, floor, appendMax, first] = row
    if (partition === null) continue
    let gathered = partitions.get(partition)
    if (gathered === undefined) {
      gathered = {
        partition: Number(partition),
        next: Number(next),
        floor: Number(floor),
        appendMax: Number(appendMax),
        commits: new Map(),
      }
      partitions.set(partition, gathered)
    }
    if (first !== null) addCommit(gathered.commits, first, row)
  }
  return [...partitions.values()].map((gathered) => ({
    ...gathered,
    commits: [...gathered.commits.values()].toSorted((a, b) => a.first - b.first),
  }))
}

function addCommit(commits: Map<string, GatheredCommit>, first: string, row: Row): void {
  const [, , , , , , next, clocks, leftOut, counter, start, slots, deltas, carries] = row
  let commit = commits.get(first)
  if (commit === undefined) {
    commit = {
      first: Number(first),
      next: Number(next),
      clocks: parseNumbers(clocks),
      rows: leftOut === 't' ? undefined : [],
    }
    commits.set(first, commit)
  }
  if (counter === null) return
  commit.rows?.push({
    counter: Number(counter),
    start: Number(start),
    slots: parseInt32s(slots),
    deltas: parseInt64s(deltas),
    carries: carries === null ? undefined : parseInt64s(carries),
  })
}
