import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import { ID_WORDS } from '../core/ids/id-shape.ts'
import type { PartitionState } from '../core/partition-state.ts'
import type { ClaimedPartition } from './claim.ts'
import { loadColdRuns } from './cold-reads.ts'
import { copyOut } from './copy-out.ts'
import type { CounterIds } from './counter-ids.ts'
import { type HashedGroup, readIdGroups } from './id-groups.ts'
import { restoreIntervals } from './interval-groups.ts'

/** One answer holds so many commits, and ids of so many bytes (and one commit's more) at most. */
const COMMITS_PER_READ_MAX = 20_000
const ID_BYTES_PER_READ_MAX = 8 * 1024 * 1024
const COMMITS_SAMPLED = 16
const ID_BYTES = ID_WORDS * 4

export type IdsRequest = {
  schema: string
  claimed: ClaimedPartition
  counterIds: CounterIds
  signal: AbortSignal
  room?: LoadRoom
}

/** How the ids that are loaded share the memory with those of other partitions. */
export type LoadRoom = {
  /** So many can be in memory at all. */
  idsMax: number
  isFull(): boolean
  /** About so many ids are to come. Throws LIMIT_REACHED when they cannot fit. */
  expect(state: PartitionState, count: number): void
  /**
   * Waits while there is no room; ids of commits that begin before `through` may leave for it.
   * Throws LIMIT_REACHED when that is not enough.
   */
  settle(client: pg.ClientBase, state: PartitionState, through: number): Promise<void>
}

/** Remembers what the commits, and those of a log before this one, say that is not late by now. */
export async function loadIds(
  client: pg.ClientBase,
  request: IdsRequest,
  state: PartitionState,
): Promise<void> {
  const { schema, claimed, signal, room } = request
  const ordinals = ordinalsById(request, state)
  const { hashed } = state.ids
  hashed.beginRestore()
  await loadColdRuns(client, request, state, ordinals)
  const carried = await client.query<{ ids: Buffer }>(
    `select ids from ${schema}.carried_ids where partition = $1`,
    [state.partition],
  )
  // They have no order, so what commits call their lanes is read before what they say of them.
  for (const { ids } of carried.rows) restoreIds(state, ordinals, ids, claimed.next, 'names')
  for (const { ids } of carried.rows) restoreIds(state, ordinals, ids, claimed.next, 'carried')
  if (room?.isFull() === true) await room.settle(client, state, 0)
  const expected = await estimateIds(client, request, state, ordinals)
  room?.expect(state, expected)
  hashed.expectRestored(Math.min(expected, room?.idsMax ?? Infinity))
  for (let reading = readIds(client, schema, state.partition, claimed.idsFloor); ;) {
    const rows = await reading
    signal.throwIfAborted()
    const last = rows.at(-1)
    if (last === undefined) break
    // The next answer comes in while this one's ids are put in their places.
    reading = readIds(client, schema, state.partition, last.first + 1)
    reading.catch(() => {})
    for (const { first, ids } of rows) {
      restoreIds(state, ordinals, ids, first, 'ids')
      await setImmediate()
    }
    if (room?.isFull() !== true) continue
    await reading.catch(() => {})
    await room.settle(client, state, last.first + 1)
  }
  for (const _ of hashed.endRestore()) await setImmediate()
  for (const [ordinal, counter] of state.counters.list.entries()) {
    counter.expiresAt = state.ids.firstEnd(ordinal)
  }
}

/**
 * About how many hashed ids the commits have that are not late by now: all have so many bytes, and of
 * those of some commits, spread over all, a share is such ids. One slow counter may keep commits whose
 * other ids are all late.
 */
async function estimateIds(
  client: pg.ClientBase,
  { schema, claimed }: IdsRequest,
  state: PartitionState,
  ordinals: ReadonlyMap<number, number>,
): Promise<number> {
  const ours = `partition = ${state.partition} and first >= ${claimed.idsFloor}`
  const rows = await copyOut(
    client,
    `select first, bytes, ids from (
       select first, row_number() over (order by first) as number, count(*) over () as count,
         sum(octet_length(ids)) over () as bytes
       from ${schema}.commits where ${ours}
     ) all_commits join ${schema}.commits using (first)
     where ${ours} and number % (1 + count / ${COMMITS_SAMPLED}) = 0`,
  )
  let sampled = 0
  let kept = 0
  let bytes = 0
  for (const [first, all, ids] of rows) {
    const offset = Number(first!.readBigInt64BE())
    bytes = Number(all!.readBigInt64BE())
    sampled += ids!.length
    for (const group of readIdGroups(ids!)) {
      if (group.kind !== 'hashed' || isLeft(state, ordinals, group, offset)) continue
      kept += group.ids.length
    }
  }
  return sampled === 0 ? 0 : Math.floor(((bytes / sampled) * kept) / ID_BYTES)
}

/** True when a commit's group is not kept in memory: it is late by now, or in a cold run. */
function isLeft(
  state: PartitionState,
  ordinals: ReadonlyMap<number, number>,
  { counter, end }: HashedGroup,
  first: number,
): boolean {
  const ordinal = ordinals.get(counter) ?? -1
  const known = state.counters.list[ordinal]
  if (known === undefined || end <= known.clock - known.latenessMs) return true
  return first < (state.ids.hashed.cold.through(ordinal, end) ?? -Infinity)
}

/** The ids of the commits from an offset on, as many as one answer may have. */
async function readIds(client: pg.ClientBase, schema: string, partition: number, from: number) {
  const rows = await copyOut(
    client,
    `select first, ids from (
       select first, ids, sum(octet_length(ids)) over (order by first) - octet_length(ids) as before
       from (select first, ids from ${schema}.commits
         where partition = ${partition} and first >= ${from}
         order by first limit ${COMMITS_PER_READ_MAX}) latest
     ) measured where before <= ${ID_BYTES_PER_READ_MAX} order by first`,
  )
  return rows.map(([first, ids]) => ({ first: Number(first!.readBigInt64BE()), ids: ids! }))
}

/** By the number of a counter in the tables its place in the partition. */
export function ordinalsById(
  { counterIds }: Pick<IdsRequest, 'counterIds'>,
  state: PartitionState,
): Map<number, number> {
  return new Map(state.counters.list.map(({ name }, ordinal) => [counterIds.of(name), ordinal]))
}

/** Remembers the ids of one commit that are not late by now: what is known depends on clocks alone. */
function restoreIds(
  state: PartitionState,
  ordinals: ReadonlyMap<number, number>,
  ids: Buffer,
  first: number,
  what: 'ids' | 'carried' | 'names',
): void {
  for (const group of readIdGroups(ids)) {
    const ordinal = ordinals.get(group.counter)
    if (ordinal === undefined) throw new RangeError(`ids of the unknown counter ${group.counter}`)
    const { clock, latenessMs } = state.counters.list[ordinal]!
    const lateBefore = clock - latenessMs
    if (group.kind === 'intervals') {
      const where = { counter: ordinal, firstOffset: first, lateBefore }
      restoreIntervals(group.body, { ids: state.ids, ...where, namesOnly: what === 'names' })
    } else if (group.end > lateBefore && what !== 'names') {
      restoreHashed(state, ordinal, group, first, what === 'carried')
    }
  }
}

function restoreHashed(
  state: PartitionState,
  ordinal: number,
  { end, ids, mayBeMade }: HashedGroup,
  first: number,
  isCarried: boolean,
): void {
  const { hashed } = state.ids
  if (mayBeMade) state.ids.noteHashedMade(ordinal, end)
  const bucket = hashed.bucket(ordinal, end, first)
  const through = hashed.cold.through(ordinal, end)
  // Carried ids were there before any commit of this log: every run has them.
  if (through !== undefined && (first < through || isCarried)) return
  hashed.restore(bucket, ids)
}
