import { z } from 'zod'
import { CONTRACT_LIMITS } from './contracts.ts'
import { LIMITS } from './event.ts'
import { homePartition, partitionHash, recordHash } from './routing.ts'
import { parseSdkId, SDK_ID } from './sdk-id.ts'

/** Bounds of a routing table. Units last. */
export const ROUTING_LIMITS = {
  versionsMax: 1000,
  /** Of keys as long as they may be, with everything escaped, a record still fits. */
  spreadsMax: 128,
  partitionsMax: 65_536,
  recordBytesMax: 900 * 1024,
} as const

/** The version of the records' own shape. One that we cannot read ends what we know: see `knownUntil`. */
export const ROUTING_FORMAT = 1

/**
 * How far ahead a change is told. A version holds from `effectiveAt` on, at least the sum of the
 * three (of the version before it) after the broker appended it: who routes by a table that was
 * complete `leaseMs` ago, and takes no event from more than `aheadMs` in the future, cannot meet a
 * version that it does not know. `marginMs` is for what clocks differ, and what a copy may be on its
 * way to the log.
 */
export type RoutingTimes = { leaseMs: number; aheadMs: number; marginMs: number }

export const ROUTING_TIMES: RoutingTimes = {
  leaseMs: 30_000,
  aheadMs: CONTRACT_LIMITS.skewMs,
  marginMs: 60_000,
}

export function noticeMs({ leaseMs, aheadMs, marginMs }: RoutingTimes): number {
  return leaseMs + aheadMs + marginMs
}

/** A key, or without `key` each key of the counter, goes to so many partitions by its events' ids. */
export type Spread = { counter: string; key?: string; ways: number }

export type RoutingVersion = {
  readonly version: number
  /** From this event time on, epoch milliseconds; 0 for the first. */
  readonly effectiveAt: number
  readonly partitions: number
  readonly spreads: readonly Spread[]
  readonly times: RoutingTimes
  /** Made from `spreads`: counter -> how its keys are spread. */
  readonly ways: ReadonlyMap<string, CounterWays>
}

type CounterWays = { every: number; keys: ReadonlyMap<string, number> }

/**
 * What is known of how one topic's events are routed: the versions by number, which is also the
 * order of their `effectiveAt`. Immutable; a record makes a new one.
 */
export type RoutingTable = {
  /** Of the events' topic; versions told for another of the same name are not in here. */
  readonly topicId: string
  readonly versions: readonly RoutingVersion[]
  /** Event times from here on are ruled by a record that this release cannot read. */
  readonly knownUntil: number
}

export function emptyRoutingTable(topicId: string): RoutingTable {
  return { topicId, versions: [], knownUntil: Infinity }
}

/** What routes while no version is told: every key by the number of the topic's partitions. */
export function untoldVersion(partitions: number): RoutingVersion {
  const fields = { version: 0, effectiveAt: 0, spreads: [], times: ROUTING_TIMES }
  return { ...fields, partitions, ways: new Map() }
}

const timeMs = z.int().min(0)

const spreadSchema = z.object({
  counter: z.string().min(1),
  key: z.string().min(1).optional(),
  ways: z.int().min(1).max(ROUTING_LIMITS.partitionsMax),
})

const formatSchema = z.object({ format: z.int(), topicId: z.string() })

const recordSchema = z.object({
  format: z.literal(ROUTING_FORMAT),
  topicId: z.string(),
  version: z.int().min(1).max(ROUTING_LIMITS.versionsMax),
  effectiveAt: z.int().min(0).max(LIMITS.atMsMax),
  partitions: z.int().min(1).max(ROUTING_LIMITS.partitionsMax),
  spreads: z.array(spreadSchema).max(ROUTING_LIMITS.spreadsMax),
  leaseMs: timeMs,
  aheadMs: timeMs,
  marginMs: timeMs,
  /** For people: why, and who told it. */
  why: z.string().optional(),
  by: z.string().optional(),
})

/** A version as it stands in the topic. */
export type RoutingRecord = z.infer<typeof recordSchema>

/** A record of the routing topic, in the order of the log. */
export type StoredRoutingRecord = {
  value: Uint8Array | null
  /** When the broker appended it; undefined when the topic does not stamp records itself. */
  appendTimeMs: number | undefined
}

export type Added = { table: RoutingTable; refused?: string }

/**
 * The table with one further record of the log. What every reader must see alike depends on the log
 * alone: the first valid record of a version number counts, and one that was appended too late for
 * its `effectiveAt` counts for nobody. Bad records change nothing and `refused` says why.
 */
export function addRoutingRecord(table: RoutingTable, record: StoredRoutingRecord): Added {
  if (record.value === null) return { table, refused: 'it is empty' }
  if (record.value.length > ROUTING_LIMITS.recordBytesMax) return { table, refused: 'too large' }
  const { appendTimeMs } = record
  if (appendTimeMs === undefined) {
    return { table, refused: 'the topic does not use log-append time' }
  }
  const json = parseJson(record.value)
  const shape = formatSchema.safeParse(json)
  if (!shape.success) return { table, refused: 'it is no routing version' }
  // Not a fault: of a topic that had the name before.
  if (shape.data.topicId !== table.topicId) return { table }
  if (shape.data.format > ROUTING_FORMAT) return beyondUs(table, appendTimeMs)
  const parsed = recordSchema.safeParse(json)
  if (!parsed.success) return { table, refused: z.prettifyError(parsed.error) }
  return addVersion(table, parsed.data, appendTimeMs)
}

function addVersion(table: RoutingTable, record: RoutingRecord, appendTimeMs: number): Added {
  const last = table.versions.at(-1)
  const refused = (why: string): Added => ({ table, refused: `version ${record.version}: ${why}` })
  if (record.version !== (last?.version ?? 0) + 1) return refused('not the next one')
  if (last === undefined && record.effectiveAt !== 0) return refused('the first must begin at 0')
  if (last !== undefined) {
    if (record.effectiveAt < earliestEffectiveAt(table, appendTimeMs)) {
      return refused('it was told too late')
    }
    if (record.partitions < last.partitions) return refused('fewer partitions')
  }
  const { version, effectiveAt, partitions, spreads, leaseMs, aheadMs, marginMs } = record
  const times = { leaseMs, aheadMs, marginMs }
  const compiled = spreads.map(({ key, ...rest }) => (key === undefined ? rest : { ...rest, key }))
  const ways = compileWays(compiled)
  const next = { version, effectiveAt, partitions, spreads: compiled, times, ways }
  return { table: { ...table, versions: [...table.versions, next] } }
}

/** The earliest event time from which a version may hold that is appended at `nowMs`. */
export function earliestEffectiveAt(table: RoutingTable, nowMs: number): number {
  const last = table.versions.at(-1)
  return last === undefined ? 0 : Math.max(nowMs + noticeMs(last.times), last.effectiveAt + 1)
}

/** A newer release told a version in a shape of its own. Up to its notice we know enough. */
function beyondUs(table: RoutingTable, appendTimeMs: number): Added {
  const times = table.versions.at(-1)?.times ?? ROUTING_TIMES
  const knownUntil = Math.min(table.knownUntil, appendTimeMs + noticeMs(times))
  return { table: { ...table, knownUntil }, refused: 'a newer release wrote it: upgrade this one' }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
  } catch {
    return undefined
  }
}

function compileWays(spreads: readonly Spread[]): Map<string, CounterWays> {
  const byCounter = new Map<string, { every: number; keys: Map<string, number> }>()
  for (const { counter, key, ways } of spreads) {
    const entry = byCounter.get(counter) ?? { every: 1, keys: new Map<string, number>() }
    byCounter.set(counter, entry)
    if (key === undefined) entry.every = Math.max(entry.every, ways)
    else entry.keys.set(key, Math.max(entry.keys.get(key) ?? 1, ways))
  }
  return byCounter
}

/**
 * Whether `after` has all that `before` had, or is of another topic. Versions that were acted upon
 * and are gone would send second copies elsewhere.
 */
export function continuesTable(before: RoutingTable, after: RoutingTable): boolean {
  if (before === after || before.topicId !== after.topicId) return true
  return before.versions.every((version, i) => sameVersion(version, after.versions[i]))
}

function sameVersion(a: RoutingVersion, b: RoutingVersion | undefined): boolean {
  const text = (v: RoutingVersion): string =>
    JSON.stringify([v.version, v.effectiveAt, v.partitions, v.spreads])
  return b !== undefined && (a === b || text(a) === text(b))
}

/** The version that rules an event time; undefined only while the table has none. */
export function versionAt(table: RoutingTable, at: number): RoutingVersion | undefined {
  const { versions } = table
  for (let i = versions.length - 1; i > 0; i--) {
    if (versions[i]!.effectiveAt <= at) return versions[i]
  }
  return versions[0]
}

/** To how many partitions a key goes; 1 when it is not spread. */
export function waysOf(version: RoutingVersion, counter: string, key: string): number {
  // Looking into an empty map costs 10 ns, and each event asks.
  if (version.ways.size === 0) return 1
  const entry = version.ways.get(counter)
  if (entry === undefined) return 1
  return Math.min(Math.max(entry.every, entry.keys.get(key) ?? 1), version.partitions)
}

/** Where a key's shard lies, from its home: different partitions for different shards. */
export function shardPartition(
  home: number,
  shard: number,
  ways: number,
  partitions: number,
): number {
  return (home + Math.floor((shard * partitions) / ways)) % partitions
}

/** The shard of an event's id, given as UTF-8. */
export function shardOfId(bytes: Uint8Array, start: number, end: number, ways: number): number {
  return partitionHash(bytes, start, end) % ways
}

/** The partition in which the SDK put an event whose id it made, by the id's lane. */
export function partitionOfLane(lane: number): number {
  return lane % ROUTING_LIMITS.partitionsMax
}

/** All partitions of a key in one version: one, or one for each shard in their order. */
export function shardPartitions(
  version: RoutingVersion,
  counter: string,
  key: string,
  hash: number = recordHash(counter, key),
): number[] {
  const { partitions } = version
  const home = homePartition(hash, partitions)
  const ways = waysOf(version, counter, key)
  return Array.from({ length: ways }, (_, i) => shardPartition(home, i, ways, partitions))
}

/** All partitions that may hold events of a key, whatever their times. */
export function partitionsOfKey(
  versions: readonly RoutingVersion[],
  counter: string,
  key: string,
): Set<number> {
  const hash = recordHash(counter, key)
  return new Set(versions.flatMap((version) => shardPartitions(version, counter, key, hash)))
}

/**
 * The partition of an event with an id, by the version that rules its `at`. An id that an SDK made
 * says it itself; any other goes by its counter and key, and when those are spread by the id too.
 */
export function partitionIn(
  version: RoutingVersion,
  counter: string,
  key: string,
  id: string,
  hash: number = recordHash(counter, key),
): number {
  const made = id[SDK_ID.sessionChars] === '.' ? parseSdkId(id) : undefined
  if (made !== undefined && partitionOfLane(made.lane) < version.partitions) {
    return partitionOfLane(made.lane)
  }
  const home = homePartition(hash, version.partitions)
  const ways = waysOf(version, counter, key)
  if (ways === 1) return home
  const bytes = Buffer.from(id)
  return shardPartition(home, shardOfId(bytes, 0, bytes.length, ways), ways, version.partitions)
}
