import type pg from 'pg'
import { int4s, int8s } from './binary-arrays.ts'
import { LIMITS } from '../limits.ts'
import { movedPartitions } from './moved.ts'
import { RunFilters } from './run-filters.ts'
import { SeriesRows } from './series-rows.ts'
import { SumColumns, sumColumnsSql } from './sum-columns.ts'

export type CommitRow = {
  partition: number
  first: number
  next: number
  read: number
  applied: number
  duplicate: number
  conflict: number
  late: number
  invalid: number
  /** Pairs of a counter's number and its clock. */
  clocks: readonly number[]
  ids: Buffer
  outcomes: Buffer
}

export type DeltaRow = { partition: number; first: number; counter: number; start: number }

/**
 * The log's part of a commit as parameters of set-based statements: new series, commit rows,
 * per-window deltas. They can be sent again as they are.
 */
export class LogRows {
  readonly #schema: string
  readonly series: SeriesRows
  readonly filters: RunFilters
  readonly sums = new SumColumns()
  #commits: CommitRow[] = []
  #deltas: DeltaRow[] = []

  constructor(schema: string) {
    this.#schema = schema
    this.series = new SeriesRows(schema)
    this.filters = new RunFilters(schema)
  }

  begin(): void {
    this.series.begin()
    this.filters.begin()
    this.#commits = []
    this.#deltas = []
    this.sums.begin()
  }

  /** Of so many stored names runs may still be written in this commit: what is more waits. */
  get rewritesLeft(): number {
    return LIMITS.namesRewrittenMax - this.series.rewritten - this.filters.names
  }

  addCommit(row: CommitRow): void {
    this.#commits.push(row)
  }

  /** Closes a row of deltas whose sums have been added to `sums`. */
  addDeltas(row: DeltaRow): void {
    this.#deltas.push(row)
    this.sums.row()
  }

  /** The statements, to be run in this order; those without rows are left out. */
  statements(moved: readonly unknown[]): pg.QueryConfig[] {
    const statements = [...this.series.statements(moved), ...this.filters.statements(moved)]
    if (this.#commits.length > 0) statements.push(this.#insertCommits(moved))
    if (this.#deltas.length > 0) statements.push(this.#insertDeltas(moved))
    return statements
  }

  #insertCommits(moved: readonly unknown[]): pg.QueryConfig {
    const s = this.#schema
    const rows = this.#commits
    const of = <T>(pick: (row: CommitRow) => T): T[] => rows.map(pick)
    const ints = (pick: (row: CommitRow) => number): Buffer => int4s(rows.map(pick))
    return {
      name: `insert-commits-${s}`,
      text: `with ${movedPartitions(s)}
        insert into ${s}.commits (partition, first, next, read, applied, duplicate, conflict, late,
          invalid, clocks, ids, outcomes)
        select u.partition, u.first, u.next, u.read, u.applied, u.duplicate, u.conflict, u.late,
          u.invalid, ($16::bigint[])[u.clocks_end - u.clocks_count + 1 : u.clocks_end],
          substring($17::bytea from u.ids_end - u.ids_count + 1 for u.ids_count),
          substring($18::bytea from u.outcomes_end - u.outcomes_count + 1 for u.outcomes_count)
        from unnest($4::int[], $5::bigint[], $6::bigint[], $7::int[], $8::int[], $9::int[],
          $10::int[], $11::int[], $12::int[], $13::int[], $14::int[], $15::int[], $19::int[],
          $20::int[], $21::int[])
          u (partition, first, next, read, applied, duplicate, conflict, late, invalid, clocks_count,
            ids_count, outcomes_count, clocks_end, ids_end, outcomes_end)
        join moved using (partition)`,
      values: [
        ...moved,
        ints(({ partition }) => partition),
        int8s(of(({ first }) => first)),
        int8s(of(({ next }) => next)),
        ints(({ read }) => read),
        ints(({ applied }) => applied),
        ints(({ duplicate }) => duplicate),
        ints(({ conflict }) => conflict),
        ints(({ late }) => late),
        ints(({ invalid }) => invalid),
        ints((row) => row.clocks.length),
        ints(({ ids }) => ids.length),
        ints(({ outcomes }) => outcomes.length),
        int8s(rows.flatMap((row) => row.clocks)),
        Buffer.concat(of(({ ids }) => ids)),
        Buffer.concat(of(({ outcomes }) => outcomes)),
        endsOf(of((row) => row.clocks.length)),
        endsOf(of(({ ids }) => ids.length)),
        endsOf(of(({ outcomes }) => outcomes.length)),
      ],
    }
  }

  #insertDeltas(moved: readonly unknown[]): pg.QueryConfig {
    const s = this.#schema
    const rows = this.#deltas
    return {
      name: `insert-deltas-${s}`,
      text: `with ${movedPartitions(s)}
        insert into ${s}.window_deltas
          (partition, first, counter, start, slots, small_deltas, deltas, carries)
        select u.partition, u.first, u.counter, u.start, ($13::int[])[u.lo : u.hi],
          ${sumColumnsSql(14)}
        from unnest($4::int[], $5::bigint[], $6::int[], $7::bigint[], $8::int[], $9::int[],
          $10::int[], $11::int[], $12::int[])
          u (partition, first, counter, start, lo, hi, kind, value_lo, value_hi)
        join moved using (partition)`,
      values: [
        ...moved,
        int4s(rows.map(({ partition }) => partition)),
        int8s(rows.map(({ first }) => first)),
        int4s(rows.map(({ counter }) => counter)),
        int8s(rows.map(({ start }) => start)),
        ...this.sums.bounds(),
        this.sums.slots(),
        ...this.sums.sums(),
      ],
    }
  }
}

/** Where each of the parts ends when they stand one behind the other. */
function endsOf(lengths: readonly number[]): Buffer {
  let end = 0
  return int4s(lengths.map((length) => (end += length)))
}
