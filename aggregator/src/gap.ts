import type { Logger } from '@countersink/shared/log'
import type pg from 'pg'
import type { Committer } from './committer.ts'
import type { OwnedPartition } from './owned-partition.ts'
import { moveLog } from './postgres/move-log.ts'

export type GapOptions = { schema: string; pool: pg.Pool; committer: Committer; logger: Logger }

/**
 * Carries out an operator's decision that a partition goes on at `to`: whatever is folded is
 * committed and every page written first, so that no dirt lies on the far side of the gap. Gives
 * true when the partition has to be claimed again: it was moved, or its fold had failed and it has
 * no state to write.
 */
export async function acceptGap(
  { schema, pool, committer, logger }: GapOptions,
  owned: OwnedPartition,
  to: number,
): Promise<boolean> {
  const { partition, token } = owned
  await owned.ready
  if (owned.state === undefined) return !owned.dropped
  await committer.flush(owned)
  const { state, revision } = owned
  if (owned.dropped || state === undefined) return false
  const from = state.next
  const reason = owned.halted ?? 'an operator moved the partition'
  const move = { schema, partition, token, revision, from, to, reason }
  const client = await pool.connect()
  let failed: Error | undefined
  try {
    const moved = await moveLog(client, move)
    if (moved) logger.warn({ partition, from, to, reason }, 'gap accepted by an operator')
    return moved
  } catch (error) {
    failed = error instanceof Error ? error : new Error(String(error))
    throw error
  } finally {
    client.release(failed)
  }
}
