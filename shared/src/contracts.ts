import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { parseDuration } from './duration.ts'
import { CountersinkError, messageOf } from './errors.ts'
import { isObject, isText, LIMITS } from './event.ts'

/** Bounds that hold for every contract. */
export const CONTRACT_LIMITS = {
  windowSizesMax: 8,
  /** Every size is a multiple of it: what an SDK combines within one is in the same windows. */
  windowSizeMsMin: 1000,
  latenessMsMin: 1000,
  breakdownsMax: 16,
  breakdownDimsMax: 4,
  countersPerPartitionMax: 1000,
  seriesPerPartitionMax: 5_000_000,
  /** How far ahead of the append time an `at` may be: one bad clock must not make all others late. */
  skewMs: 5 * 60_000,
  spreadWaysMax: 65_536,
  /** Ids live in epoch-aligned buckets of this part of the lateness. */
  bucketsPerLateness: 8,
} as const

/** The correctness contract of one counter, in the units the fold works with. */
export type Contract = {
  kind: 'sum'
  latenessMs: number
  /** Kept sizes in milliseconds, finest first; each is a multiple of the first. */
  windowSizesMs: readonly number[]
  positiveOnly: boolean
  deltaMax: number
  /** Each breakdown is a list of dim names in sorted order; the total is always kept. */
  breakdowns: readonly (readonly string[])[]
  rejectMisrouted: boolean
  seriesMax: number
  /**
   * Set when SDKs must not send several calls for one series and second as one event with their
   * sum. The fold does not look at it, so it is not part of what is stored.
   */
  combine?: false
  /**
   * To how many partitions each key of the counter goes, by the ids of its events. It takes effect
   * as a version of the routing table, so it is not part of what is stored either.
   */
  spread?: number
}

export type Contracts = {
  counters: ReadonlyMap<string, Contract>
  /** What counters without an entry of their own are counted under; undefined rejects them. */
  fallback: Contract | undefined
}

const duration = z.string().transform((text, ctx) => {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  ctx.addIssue({ code: 'custom', message: `"${text}" is no duration such as 90s, 15m, 24h or 7d` })
  return z.NEVER
})

const dimName = z.string().min(1).max(64)

const contractFields = z.strictObject({
  kind: z.literal('sum').optional(),
  lateness: duration.optional(),
  windows: z.array(duration).min(1).max(CONTRACT_LIMITS.windowSizesMax).optional(),
  deltas: z.enum(['signed', 'positive']).optional(),
  maxDelta: z.int().min(1).optional(),
  breakdowns: z
    .array(z.array(dimName).min(1).max(CONTRACT_LIMITS.breakdownDimsMax))
    .max(CONTRACT_LIMITS.breakdownsMax)
    .optional(),
  misrouted: z.enum(['count', 'reject']).optional(),
  maxSeriesPerPartition: z.int().min(1).max(CONTRACT_LIMITS.seriesPerPartitionMax).optional(),
  combine: z.boolean().optional(),
  spread: z.int().min(1).max(CONTRACT_LIMITS.spreadWaysMax).optional(),
})

const fileSchema = z.strictObject({
  defaults: z.unknown().optional(),
  unknownCounters: z.enum(['count', 'reject']).optional(),
  // Contracts are checked one by one below: zod's record leaves out a counter that is named __proto__.
  counters: z.custom<Record<string, unknown>>(isObject, 'must be a mapping').nullable().optional(),
})

type ContractFields = z.infer<typeof contractFields>
type FileFields = z.infer<typeof fileSchema>

export const DEFAULT_CONTRACT: Contract = {
  kind: 'sum',
  latenessMs: 24 * 3_600_000,
  windowSizesMs: [60_000, 3_600_000, 86_400_000],
  positiveOnly: false,
  deltaMax: Number.MAX_SAFE_INTEGER,
  breakdowns: [],
  rejectMisrouted: false,
  seriesMax: CONTRACT_LIMITS.seriesPerPartitionMax,
}

/**
 * The contracts of a `counters.yaml` text; an empty one counts everything under the default.
 * Throws CONTRACT_INVALID with every problem and its place in the file.
 */
export function parseContracts(text: string, name = 'the contracts'): Contracts {
  let raw: unknown
  try {
    raw = parseYaml(text, { logLevel: 'error' }) ?? {}
  } catch (error) {
    throw new CountersinkError('CONTRACT_INVALID', `${name}: not YAML: ${messageOf(error)}`)
  }
  const problems: string[] = []
  const file: FileFields = check(fileSchema, raw, [], problems) ?? {}
  const defaults = check(contractFields.nullish(), file.defaults, ['defaults'], problems)
  const base = compile('defaults', defaults ?? {}, DEFAULT_CONTRACT, problems)
  if (base.spread !== undefined) problems.push('defaults.spread: only a named counter is spread')
  const counters = new Map<string, Contract>()
  for (const [name, entry] of Object.entries(file.counters ?? {})) {
    const place = `counters.${name}`
    if (!isText(name, LIMITS.counterBytesMax) || name.trim() === '')
      problems.push(`${place}: no event can have this counter (see the limits of counter)`)
    const fields = check(contractFields.nullable(), entry, ['counters', name], problems)
    counters.set(name, compile(place, fields ?? {}, base, problems))
  }
  if (problems.length > 0) {
    throw new CountersinkError('CONTRACT_INVALID', `${name}: ${problems.join('; ')}`)
  }
  return { counters, fallback: file.unknownCounters === 'reject' ? undefined : base }
}

function check<T extends z.ZodType>(
  schema: T,
  value: unknown,
  root: readonly string[],
  problems: string[],
): z.output<T> | undefined {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) {
    problems.push(`${[...root, ...path.map(String)].join('.') || 'file'}: ${message}`)
  }
  return undefined
}

function compile(
  place: string,
  fields: ContractFields,
  base: Contract,
  problems: string[],
): Contract {
  const sizes = [...new Set(fields.windows ?? base.windowSizesMs)].toSorted((a, b) => a - b)
  const finest = sizes[0]!
  if (finest < CONTRACT_LIMITS.windowSizeMsMin)
    problems.push(`${place}.windows: the finest is under 1s`)
  for (const size of sizes) {
    if (size % CONTRACT_LIMITS.windowSizeMsMin !== 0)
      problems.push(`${place}.windows: each must be whole seconds`)
    if (size % finest !== 0)
      problems.push(`${place}.windows: each must be a multiple of the finest`)
  }
  const latenessMs = fields.lateness ?? base.latenessMs
  if (latenessMs < CONTRACT_LIMITS.latenessMsMin) problems.push(`${place}.lateness: is under 1s`)
  const breakdowns = (fields.breakdowns ?? base.breakdowns)
    .map((names) => names.toSorted())
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (new Set(breakdowns.map((names) => JSON.stringify(names))).size < breakdowns.length) {
    problems.push(`${place}.breakdowns: the same breakdown twice`)
  }
  if (breakdowns.some((names) => new Set(names).size < names.length)) {
    problems.push(`${place}.breakdowns: the same dim twice in one breakdown`)
  }
  return {
    kind: 'sum',
    latenessMs,
    windowSizesMs: sizes,
    positiveOnly: fields.deltas === undefined ? base.positiveOnly : fields.deltas === 'positive',
    deltaMax: fields.maxDelta ?? base.deltaMax,
    breakdowns,
    rejectMisrouted:
      fields.misrouted === undefined ? base.rejectMisrouted : fields.misrouted === 'reject',
    seriesMax: fields.maxSeriesPerPartition ?? base.seriesMax,
    ...((fields.combine ?? base.combine ?? true) ? {} : { combine: false as const }),
    ...(fields.spread === undefined ? {} : { spread: fields.spread }),
  }
}

/** The contracts of a file, or the default ones when no path is given. Errors name the file. */
export function readContracts(path: string | undefined): Contracts {
  if (path === undefined) return parseContracts('')
  try {
    return parseContracts(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof CountersinkError) throw error
    throw new CountersinkError('CONFIG_INVALID', `cannot read the contracts: ${messageOf(error)}`)
  }
}

export function contractOf(contracts: Contracts, counter: string): Contract | undefined {
  return contracts.counters.get(counter) ?? contracts.fallback
}

/** Whether any counter refuses what lies in another partition than routing sends it to. */
export function rejectsMisrouted({ counters, fallback }: Contracts): boolean {
  return [...counters.values(), fallback].some((contract) => contract?.rejectMisrouted === true)
}

/** Fields of a contract that the fold does not look at; a counter's name is no property here. */
const NOT_STORED = new Set(['combine', 'spread'])

/** One text for equal contracts whatever their order in the file: what a contract version is known by. */
export function contractsToJson(contracts: Contracts): string {
  const counters = [...contracts.counters].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const stored = { counters, fallback: contracts.fallback ?? null }
  return JSON.stringify(stored, (name, value: unknown) =>
    NOT_STORED.has(name) ? undefined : value,
  )
}

/** The inverse of contractsToJson, for versions that were stored. */
export function contractsFromJson(text: string): Contracts {
  const stored = JSON.parse(text) as { counters: [string, Contract][]; fallback: Contract | null }
  return { counters: new Map(stored.counters), fallback: stored.fallback ?? undefined }
}

/**
 * What keeps `next` from following `previous` without a replay, in words; empty when nothing does.
 * A longer lateness would need ids that are forgotten already, other finest windows sums never kept.
 * `counted` are counters that have something: while they are not counted any more, that is kept as
 * the default contract says.
 */
export function replayReasons(
  previous: Contracts,
  next: Contracts,
  counted: readonly string[] = [],
): string[] {
  const kept = new Set(
    counted.filter((name) => [previous, next].some((one) => contractOf(one, name) === undefined)),
  )
  const names = new Set([...previous.counters.keys(), ...next.counters.keys(), ...kept])
  const pairs = [...names].map((name) => {
    const otherwise = kept.has(name) ? DEFAULT_CONTRACT : undefined
    const before = contractOf(previous, name) ?? otherwise
    const after = contractOf(next, name) ?? otherwise
    return [name, before, after] as const
  })
  const reasons: string[] = []
  for (const [name, before, after] of [
    ...pairs,
    ['defaults', previous.fallback, next.fallback] as const,
  ]) {
    if (before === undefined || after === undefined) continue
    if (after.latenessMs > before.latenessMs) reasons.push(`${name}: lateness grows`)
    if (JSON.stringify(after.windowSizesMs) !== JSON.stringify(before.windowSizesMs)) {
      reasons.push(`${name}: windows change`)
    }
  }
  return reasons
}
