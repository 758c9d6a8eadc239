import { sqlState } from '@countersink/shared/postgres/pool'
import pg from 'pg'
import { int4s, int8s } from './binary-arrays.ts'
import type { PageWrites } from './page-writes.ts'
import type { LogRows } from './log-rows.ts'
import { movedParameters, movedPartitions } from './moved.ts'
import { pruneRejects } from './prune-rejects.ts'
import type { SealedCounts, SealedPartition } from './seal.ts'

/** One partition's part in a commit: what was sealed, and what the compare-and-set compares. */
export type CommitPart = {
  sealed: SealedPartition
  token: string
  revision: number
  floor: number
  /** The last record delivered below `next`, with its hash; undefined when there was none yet. */
  record: { offset: number; hash: number } | undefined
}

export type CommitRequest = {
  schema: string
  parts: readonly CommitPart[]
  log: LogRows
  pages: PageWrites
}

/**
 * What became of one try. `fenced` are the parts whose compare-and-set failed: nothing of them was
 * committed, the others were. `unsettled`: the answer to COMMIT was lost, and only the database
 * knows.
 */
export type CommitTry =
  | { kind: 'committed'; fenced: CommitPart[] }
  | { kind: 'rolled-back'; error: unknown }
  | { kind: 'unsettled'; error: unknown }

/**
 * One transaction, in this order:
 *   (1) compare-and-set of every partition's offset, token and revision: from here on nobody else
 *       can move them; whoever moved one before us has fenced us, and it is left out of the rest
 *   (2) new series, so that every slot in what follows has a name
 *   (3) the commit row with its ids, its per-window deltas, and the clocks
 *   (4) the pages that are due
 *   (5) the sample of rejects
 * and COMMIT, whose tag is checked: a server that rolled back says so there and nowhere else.
 */
export async function tryCommit(client: pg.ClientBase, request: CommitRequest): Promise<CommitTry> {
  let fenced: CommitPart[]
  try {
    const moved = await sendAll(client, request)
    fenced = request.parts.filter(({ sealed }) => !moved.has(sealed.state.partition))
    if (moved.size === 0) {
      await client.query('rollback')
      return { kind: 'committed', fenced }
    }
  } catch (error) {
    // Without an answer of the server's, this one would not be answered either.
    if (error instanceof pg.DatabaseError) await client.query('rollback').catch(() => {})
    return { kind: 'rolled-back', error }
  }
  try {
    const { command } = await client.query('commit')
    if (command === 'COMMIT') return { kind: 'committed', fenced }
    return { kind: 'rolled-back', error: new Error(`COMMIT was answered by ${command}`) }
  } catch (error) {
    return { kind: isAnswer(error) ? 'rolled-back' : 'unsettled', error }
  }
}

/**
 * What is sent behind a BEGIN that fails would be carried out all the same, statement by statement,
 * and the compare-and-set would move the offset alone. So it asks for a setting that only lives in
 * the transaction that BEGIN has opened.
 */
const BEGIN = `begin; set local countersink.in_commit = 'on'`
const IN_COMMIT = `current_setting('countersink.in_commit', true) = 'on'`

/**
 * Sends all statements but COMMIT in one flight, without waiting for each answer: on a busy machine
 * a commit is as long as it has round trips. What follows the compare-and-set asks for itself which
 * partitions it has moved. Gives those; throws the first error.
 */
async function sendAll(client: pg.ClientBase, request: CommitRequest): Promise<Set<number>> {
  const { schema, parts, log, pages } = request
  const moved = movedParameters(
    parts.map(({ sealed, token, revision }) => ({
      partition: sealed.state.partition,
      token,
      revision: revision + 1,
    })),
  )
  const statements = [
    compareAndSet(request),
    ...log.statements(moved),
    ...saveClocks(schema, parts, moved),
    ...pages.statements(moved),
    ...saveRejects(schema, parts, moved),
    ...pruneRejects(schema, parts),
  ]
  const begun = client.query(BEGIN)
  const answers = statements.map((statement) => client.query<{ partition: number }>(statement))
  const settled = await Promise.allSettled([begun, ...answers])
  const failed = settled.find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
  const { rows } = await answers[0]!
  return new Set(rows.map(({ partition }) => partition))
}

/**
 * An error of the server's is an answer: it has rolled back. That it shuts down (class 57) is not:
 * it may have committed before it said good-bye. A socket's error (EPIPE) is none either.
 */
function isAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError && sqlState(error)?.startsWith('57') === false
}

/**
 * True when the server refused what the commit holds (data, constraints, schema), as opposed to a
 * conflict, a shortage or an outage, which pass.
 */
export function isRefusal(error: unknown): boolean {
  return /^(21|22|23|42)/.test(sqlState(error) ?? '')
}

function compareAndSet(request: CommitRequest): pg.QueryConfig {
  const { parts } = request
  const of = <T>(pick: (part: CommitPart) => T): T[] => parts.map(pick)
  const count = (pick: (counts: SealedCounts) => number): Buffer =>
    int4s(parts.map(({ sealed }) => pick(sealed.counts)))
  return {
    name: `compare-and-set-${request.schema}`,
    text: `update ${request.schema}.partitions p
      set next = u.next, floor = u.floor, ids_floor = u.ids_floor, revision = p.revision + 1,
        append_max = u.append_max, record_offset = u.record_offset, record_hash = u.record_hash,
        seen_at = now(), read = p.read + u.read, applied = p.applied + u.applied,
        duplicate = p.duplicate + u.duplicate, conflict = p.conflict + u.conflict,
        late = p.late + u.late, invalid = p.invalid + u.invalid,
        misrouted = p.misrouted + u.misrouted
      from unnest($1::int[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::bigint[], $10::int[], $11::int[], $12::int[], $13::int[],
        $14::int[], $15::int[], $16::int[], $17::int[])
        u (partition, first, token, revision, next, floor, ids_floor, append_max, record_offset,
          record_hash, read, applied, duplicate, conflict, late, invalid, misrouted)
      where p.partition = u.partition and p.next = u.first and p.token = u.token
        and p.revision = u.revision and ${IN_COMMIT}
      returning p.partition`,
    values: [
      int4s(of(({ sealed }) => sealed.state.partition)),
      int8s(of(({ sealed }) => sealed.first)),
      of(({ token }) => token),
      int8s(of(({ revision }) => revision)),
      int8s(of(({ sealed }) => sealed.next)),
      int8s(of(({ floor }) => floor)),
      int8s(of(({ sealed }) => sealed.idsFloor)),
      int8s(of(({ sealed }) => sealed.appendMax)),
      of(({ record }) => record?.offset ?? null),
      of(({ record }) => record?.hash ?? null),
      count((counts) => counts.read),
      count((counts) => counts.applied),
      count((counts) => counts.duplicate),
      count((counts) => counts.conflict),
      count((counts) => counts.late),
      count((counts) => counts.invalid),
      count((counts) => counts.misrouted),
    ],
  }
}

function saveClocks(
  schema: string,
  parts: readonly CommitPart[],
  moved: readonly unknown[],
): pg.QueryConfig[] {
  const clocks = parts.flatMap(({ sealed }) =>
    sealed.clocks.map((clock) => ({ partition: sealed.state.partition, ...clock })),
  )
  if (clocks.length === 0) return []
  const statement = {
    name: `save-clocks-${schema}`,
    text: `with ${movedPartitions(schema)}
      insert into ${schema}.partition_counters as c (partition, counter, ordinal, clock)
      select u.* from unnest($4::int[], $5::int[], $6::int[], $7::bigint[])
        u (partition, counter, ordinal, clock) join moved using (partition)
      on conflict (partition, counter) do update set clock = excluded.clock`,
    values: [
      ...moved,
      int4s(clocks.map(({ partition }) => partition)),
      int4s(clocks.map(({ counter }) => counter)),
      int4s(clocks.map(({ ordinal }) => ordinal)),
      int8s(clocks.map(({ clock }) => clock)),
    ],
  }
  return [statement]
}

function saveRejects(
  schema: string,
  parts: readonly CommitPart[],
  moved: readonly unknown[],
): pg.QueryConfig[] {
  const rejects = parts.flatMap(({ sealed }) =>
    sealed.rejects.map((reject) => ({ partition: sealed.state.partition, ...reject })),
  )
  if (rejects.length === 0) return []
  const statement = {
    text: `with ${movedPartitions(schema)}
      insert into ${schema}.rejects (partition, "offset", index, outcome, reason, value)
      select u.* from unnest($4::int[], $5::bigint[], $6::int[], $7::text[], $8::text[], $9::bytea[])
        u (partition, "offset", index, outcome, reason, value) join moved using (partition)
      on conflict do nothing`,
    values: [
      ...moved,
      rejects.map(({ partition }) => partition),
      rejects.map(({ offset }) => offset),
      rejects.map(({ index }) => index),
      rejects.map(({ outcome }) => outcome),
      rejects.map(({ reason }) => reason),
      rejects.map(({ value }) => value),
    ],
  }
  return [statement]
}
