import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import { requireBrokers, requireSetting, requireTopic } from './config.ts'
import type { CommandContext } from './context.ts'
import { liveSchema, type Query, type Row, withDatabase } from './database.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import {
  choiceLines,
  consequence,
  type Decision,
  type HaltedPartition,
  haltedLines,
} from './gap-decision.ts'
import { withKafkaAdmin } from './kafka-admin.ts'
import { printable } from './printable.ts'
import { formatTable, grouped } from './table.ts'

const POLL_MS = 200
/** A partition whose owner has not been seen for so long has none. */
export const OWNER_SEEN_S_MAX = 5

export type AcceptOptions = {
  json: boolean
  yes: boolean
  partition: number
  /** Undefined: only say what can be decided. */
  to: number | 'earliest' | undefined
  timeoutMs: number
}

type Partition = { next: number; halted: string | undefined; owned: boolean; decision?: number }

/** Shows what can be decided, or would be; with `yes` decides it and waits until the owner has gone on. */
export async function acceptGap(
  options: AcceptOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { settings } = context
  const [logStart, logEnd] = await logBounds(options.partition, context)
  return withDatabase(requireSetting(settings, 'DATABASE_URL'), async (query) => {
    const schema = await liveSchema(query)
    const found = await readPartition(query, schema, options.partition)
    if (found === undefined) {
      throw new CountersinkError('CONFIG_INVALID', `there is no partition ${options.partition}`)
    }
    if (found.halted === undefined) {
      throw new CountersinkError(
        'CONFIG_INVALID',
        `partition ${options.partition} is not halted: there is nothing to decide`,
      )
    }
    const { next, halted } = found
    const { partition } = options
    const known = { partition, halted, next, logStart, logEnd }
    if (options.to === undefined) return showChoices(known, options, context)
    const to = options.to === 'earliest' ? logStart : options.to
    const decision = { ...known, to }
    if (to < logStart || to > logEnd) {
      throw new CountersinkError(
        'CONFIG_INVALID',
        `--to ${to} is not in the log: partition ${options.partition} holds offsets ` +
          `${logStart} to ${logEnd} (the end, where the next record will be)`,
      )
    }
    if (!options.yes) return showDryRun(decision, options, context)
    await decide(query, schema, decision)
    return awaitOwner(query, schema, decision, options, context)
  })
}

async function logBounds(
  partition: number,
  { settings }: CommandContext,
): Promise<[number, number]> {
  const topic = requireTopic(settings)
  return withKafkaAdmin(requireBrokers(settings), async (admin) => {
    const [starts, ends] = await Promise.all([admin.startOffsets(topic), admin.endOffsets(topic)])
    const start = starts.get(partition)
    const end = ends.get(partition)
    if (start !== undefined && end !== undefined) return [start, end]
    throw new CountersinkError('CONFIG_INVALID', `topic ${topic} has no partition ${partition}`)
  })
}

async function readPartition(
  query: Query,
  schema: string,
  partition: number,
): Promise<Partition | undefined> {
  const [row] = await query(
    `select p.next, p.halted, d.to_offset,
       p.token is not null and p.seen_at > now() - make_interval(secs => $2) as owned
     from ${schema}.partitions p
     left join ${schema}.gap_decisions d using (partition)
     where p.partition = $1`,
    [partition, OWNER_SEEN_S_MAX],
  )
  if (row === undefined) return undefined
  const { next, halted, to_offset: decided, owned } = row
  return {
    next: Number(next),
    halted: typeof halted === 'string' ? halted : undefined,
    owned: owned === true,
    ...(decided === null ? {} : { decision: Number(decided) }),
  }
}

function showChoices(
  halted: HaltedPartition,
  options: AcceptOptions,
  { terminal }: CommandContext,
): ExitCode {
  if (options.yes) {
    throw new CountersinkError('CONFIG_INVALID', '--yes needs --to: where the partition goes on')
  }
  if (options.json) {
    terminal.printJson({ ...halted, to: null, accepted: false })
    return EXIT.ok
  }
  haltedLines(halted).forEach(terminal.print)
  choiceLines(halted).forEach(terminal.print)
  terminal.note('Nothing was changed. Add one of them to see what it would skip, then --yes.')
  return EXIT.ok
}

function showDryRun(
  decision: Decision,
  options: AcceptOptions,
  { terminal }: CommandContext,
): ExitCode {
  if (options.json) {
    terminal.printJson({ ...decision, accepted: false })
    return EXIT.ok
  }
  haltedLines(decision).forEach(terminal.print)
  terminal.print(`would      go on at ${grouped(decision.to)}: ${consequence(decision)}`)
  terminal.note('Nothing was changed. Add --yes to do it.')
  return EXIT.ok
}

/** The owner looks for decisions; a later one replaces one that is not carried out yet. */
async function decide(query: Query, schema: string, decision: Decision): Promise<void> {
  await query(
    `insert into ${schema}.gap_decisions (partition, to_offset) values ($1, $2)
     on conflict (partition) do update set to_offset = excluded.to_offset, decided_at = now()`,
    [decision.partition, decision.to],
  )
}

async function awaitOwner(
  query: Query,
  schema: string,
  decision: Decision,
  options: AcceptOptions,
  { terminal, signal }: CommandContext,
): Promise<ExitCode> {
  const deadline = performance.now() + options.timeoutMs
  let last: Partition | undefined
  while (performance.now() < deadline) {
    last = await readPartition(query, schema, decision.partition)
    if (last?.halted === undefined && last?.decision === undefined) {
      if (options.json) terminal.printJson({ ...decision, accepted: true })
      else {
        terminal.print(
          `partition ${decision.partition} goes on at ${grouped(decision.to)}: ${consequence(decision)}`,
        )
      }
      return EXIT.ok
    }
    terminal.progress('waiting for the aggregator that owns the partition')
    await sleep(POLL_MS, undefined, { signal })
  }
  const why =
    last?.owned === true
      ? 'the aggregator that owns the partition has not carried it out yet'
      : 'no aggregator that owns the partition is running: start one'
  throw new CountersinkError(
    'TIMED_OUT',
    `the decision is stored and will be carried out, but ${why}. \`countersink gap list\` shows it.`,
  )
}

export async function listGaps(
  options: { json: boolean },
  { settings, terminal }: CommandContext,
): Promise<ExitCode> {
  const gaps = await withDatabase(requireSetting(settings, 'DATABASE_URL'), readGaps)
  if (options.json) {
    terminal.printJson(gaps)
    return EXIT.ok
  }
  const rows = [
    ...gaps.halted.map((g) => [g.partition, 'halted', g.next, '', g.at, printable(g.reason)]),
    ...gaps.decided.map((g) => [g.partition, 'decided', '', g.to, g.at, 'not carried out yet']),
    ...gaps.accepted.map((g) => [g.partition, 'accepted', g.from, g.to, g.at, printable(g.reason)]),
  ].map((row) => row.map(String))
  if (rows.length === 0) terminal.note('no partition is halted, and no gap was ever accepted')
  else formatTable(GAP_COLUMNS, rows).forEach(terminal.print)
  return EXIT.ok
}

const GAP_COLUMNS = [
  { title: 'partition', align: 'left' as const },
  { title: 'state', align: 'left' as const },
  { title: 'from', align: 'right' as const },
  { title: 'to', align: 'right' as const },
  { title: 'at', align: 'left' as const },
  { title: 'reason', align: 'left' as const },
]

type Gaps = {
  halted: { partition: number; next: string; reason: string; at: string }[]
  decided: { partition: number; to: string; at: string }[]
  accepted: { partition: number; from: string; to: string; reason: string; at: string }[]
}

async function readGaps(query: Query): Promise<Gaps> {
  const schema = await liveSchema(query)
  const halted = await query(
    `select partition, next, halted, halted_at from ${schema}.partitions
     where halted is not null order by partition`,
  )
  const decided = await query(
    `select partition, to_offset, decided_at from ${schema}.gap_decisions order by partition`,
  )
  const accepted = await query(
    `select partition, from_offset, to_offset, reason, accepted_at from ${schema}.gaps
     order by accepted_at, partition`,
  )
  return {
    halted: halted.map((row) => ({
      partition: Number(row['partition']),
      next: String(row['next']),
      reason: String(row['halted']),
      at: timeOf(row, 'halted_at'),
    })),
    decided: decided.map((row) => ({
      partition: Number(row['partition']),
      to: String(row['to_offset']),
      at: timeOf(row, 'decided_at'),
    })),
    accepted: accepted.map((row) => ({
      partition: Number(row['partition']),
      from: String(row['from_offset']),
      to: String(row['to_offset']),
      reason: String(row['reason']),
      at: timeOf(row, 'accepted_at'),
    })),
  }
}

function timeOf(row: Row, name: string): string {
  const value = row[name]
  return value instanceof Date ? value.toISOString() : ''
}
