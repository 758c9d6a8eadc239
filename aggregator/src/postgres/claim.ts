import {
  type Contracts,
  contractsFromJson,
  contractsToJson,
  replayReasons,
} from '@countersink/shared/contracts'
import { CountersinkError } from '@countersink/shared/errors'
import type pg from 'pg'
import { LIMITS } from '../limits.ts'

/** What a partition's row says when it is claimed. Offsets are below 2^53, so numbers hold them. */
export type ClaimedPartition = {
  partition: number
  next: number
  floor: number
  idsFloor: number
  revision: number
  appendMax: number
  /** The last record delivered, and its hash; undefined when there was none yet. */
  record: { offset: number; hash: number } | undefined
  halted: string | undefined
}

export type ClaimRequest = {
  schema: string
  /** The random token that makes every older owner's commits fail; one for each claim. */
  token: string
  owner: string
  /** partition -> first offset of the log, where a partition that was never counted begins */
  starts: ReadonlyMap<number, number>
  contracts: Contracts
}

/**
 * Claims partitions in one transaction: writes the new token, makes the rows that are missing, and
 * records at which offset today's contracts take effect. Throws CONTRACT_CHANGE_NEEDS_REPLAY when
 * they cannot follow those in force; the server's error 55P03 when the rows stay locked.
 */
export async function claimPartitions(
  client: pg.ClientBase,
  request: ClaimRequest,
): Promise<ClaimedPartition[]> {
  const partitions = [...request.starts.keys()].toSorted((a, b) => a - b)
  await client.query('begin')
  try {
    await client.query(`set local lock_timeout = ${LIMITS.claimWaitMsMax}`)
    const claimed = await claimRows(client, request, partitions)
    await recordContracts(client, request, claimed)
    await client.query('commit')
    return claimed
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

type Row = {
  partition: number
  next: string
  floor: string
  ids_floor: string
  revision: string
  append_max: string
  record_offset: string | null
  record_hash: number | null
  halted: string | null
}

async function claimRows(
  client: pg.ClientBase,
  { schema, token, owner, starts }: ClaimRequest,
  partitions: number[],
): Promise<ClaimedPartition[]> {
  const { rows } = await client.query<Row>(
    `insert into ${schema}.partitions as p (partition, start, next, floor, ids_floor, token, owner)
     select u.partition, u.start, u.start, u.start, u.start, $3, $4
     from unnest($1::int[], $2::bigint[]) u (partition, start)
     on conflict (partition) do update
     set token = excluded.token, owner = excluded.owner, seen_at = now()
     returning p.partition, p.next, p.floor, p.ids_floor, p.revision, p.append_max,
       p.record_offset, p.record_hash, p.halted`,
    [partitions, partitions.map((partition) => starts.get(partition)), token, owner],
  )
  return rows.map((row) => ({
    partition: row.partition,
    next: Number(row.next),
    floor: Number(row.floor),
    idsFloor: Number(row.ids_floor),
    revision: Number(row.revision),
    appendMax: Number(row.append_max),
    record:
      row.record_offset === null || row.record_hash === null
        ? undefined
        : { offset: Number(row.record_offset), hash: row.record_hash },
    halted: row.halted ?? undefined,
  }))
}

async function recordContracts(
  client: pg.ClientBase,
  { schema, contracts }: ClaimRequest,
  claimed: readonly ClaimedPartition[],
): Promise<void> {
  const body = contractsToJson(contracts)
  await client.query(
    `insert into countersink.contract_versions (body) values ($1) on conflict (md5(body)) do nothing`,
    [body],
  )
  const inForce = await client.query<{ body: string }>(
    `select distinct v.body from (
       select distinct on (partition) partition, version from ${schema}.partition_contracts
       where partition = any($1) order by partition, from_offset desc
     ) latest join countersink.contract_versions v using (version)`,
    [claimed.map(({ partition }) => partition)],
  )
  const counters = await client.query<{ name: string }>(
    `select distinct c.name from ${schema}.partition_counters p
     join ${schema}.counters c using (counter) where p.partition = any($1)`,
    [claimed.map(({ partition }) => partition)],
  )
  const counted = counters.rows.map(({ name }) => name)
  for (const previous of inForce.rows) {
    if (previous.body === body) continue
    const reasons = replayReasons(contractsFromJson(previous.body), contracts, counted)
    if (reasons.length === 0) continue
    throw new CountersinkError(
      'CONTRACT_CHANGE_NEEDS_REPLAY',
      `the contracts cannot follow those in force without a replay: ${reasons.join('; ')}. ` +
        'Take that back, or count it as a counter of another name',
    )
  }
  await client.query(
    `insert into ${schema}.partition_contracts (partition, from_offset, version)
     select u.partition, u.next, v.version
     from unnest($1::int[], $2::bigint[]) u (partition, next)
     join countersink.contract_versions v on v.body = $3
     where v.version is distinct from (
       select c.version from ${schema}.partition_contracts c
       where c.partition = u.partition order by c.from_offset desc limit 1)
     on conflict (partition, from_offset) do update set version = excluded.version`,
    [claimed.map(({ partition }) => partition), claimed.map(({ next }) => next), body],
  )
}
