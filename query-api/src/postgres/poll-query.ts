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
 * The commits since the last poll of all partitions at once, in one statement, that is one snapshot,
 * and the gaps that were accepted: the chain of commits has a hole there. `offset 0` keeps the
 * deltas a look-up by both columns: as a join, and planned on empty tables, it read all deltas of a
 * partition at each poll.
 */
function pollSql(generation: number): string {
  const s = generationSchema(generation)
  return `
    select g.generation, p.partition, p.next, p.floor, p.append_max,
      c.kind, c.first, c.next, c.clocks, d.counter, d.start, d.slots, d.deltas, d.carries
    from countersink.generations g
    left join ${s}.partitions p on true
    left join unnest($1::int[], $2::bigint[]) k (partition, next) on k.partition = p.partition
    left join lateral (
      (select case when first < p.floor and applied > ${SMALL_COMMIT_EVENTS_MAX}
           then 'left-out' else 'commit' end as kind, first, next, clocks
       from ${s}.commits
       where partition = p.partition and first >= coalesce(k.next, p.floor)
       order by first limit ${COMMITS_MAX})
      union all
      select 'gap', from_offset, to_offset, '{}'
      from ${s}.gaps
      where partition = p.partition and from_offset >= coalesce(k.next, p.floor)
        and to_offset <= p.next
    ) c on p.next > coalesce(k.next, p.floor)
    left join lateral (
      select counter, start, slots, coalesce(small_deltas::text, deltas::text) as deltas, carries
      from ${s}.window_deltas
      where partition = p.partition and first = c.first
      offset 0
    ) d on c.kind = 'commit'
    where g.state = 'live'`
}

type Row = [
  generation: string,
  partition: string | null,
  next: string,
  floor: string,
  appendMax: string,
  kind: 'commit' | 'left-out' | 'gap' | null,
  first: string,
  commitNext: string,
  clocks: string,
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

type Gathered = Omit<PolledPartition, 'commits' | 'gaps'> & {
  commits: Map<string, PolledCommit & { rows: DeltaRow[] | undefined }>
  gaps: [from: number, to: number][]
}

function gather(rows: readonly Row[]): PolledPartition[] {
  const partitions = new Map<string, Gathered>()
  for (const row of rows) {
    const [, partition, next, floor, appendMax, kind, first, linkNext] = row
    if (partition === null) continue
    let gathered = partitions.get(partition)
    if (gathered === undefined) {
      gathered = {
        partition: Number(partition),
        next: Number(next),
        floor: Number(floor),
        appendMax: Number(appendMax),
        commits: new Map(),
        gaps: [],
      }
      partitions.set(partition, gathered)
    }
    if (kind === 'gap') gathered.gaps.push([Number(first), Number(linkNext)])
    else if (kind !== null) addCommit(gathered, row)
  }
  return [...partitions.values()].map((gathered) => ({
    ...gathered,
    commits: [...gathered.commits.values()].toSorted((a, b) => a.first - b.first),
  }))
}

function addCommit({ commits }: Gathered, row: Row): void {
  const [, , , , , kind, first, next, clocks, counter, start, slots, deltas, carries] = row
  let commit = commits.get(first)
  if (commit === undefined) {
    commit = {
      first: Number(first),
      next: Number(next),
      clocks: parseNumbers(clocks),
      rows: kind === 'left-out' ? undefined : [],
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
