import type { Dirt } from './core/dirt.ts'
import { LIMITS } from './limits.ts'

export type CommitMode = 'live' | 'behind' | 'idle'

/**
 * Which dirty blocks a commit writes, the ones dirty for the longest first. A live commit writes a
 * few, so that none is long and all get their turn; one that catches up writes all; an idle one
 * many. Above the bound on dirt a commit writes what it must, whatever its mode.
 */
export function duePages(dirt: Dirt, mode: CommitMode): number[] {
  const dirty = dirt.sums.size
  if (mode === 'behind') return dirt.oldest(dirty)
  const turn = Math.ceil(dirty / LIMITS.livePagesTurns)
  const live = Math.min(Math.max(turn, LIMITS.livePagesMin), LIMITS.livePagesMax)
  const blocks = dirt.oldest(dirty)
  let excess = dirt.entries - LIMITS.dirtEntriesMax
  let count = mode === 'idle' ? LIMITS.idlePagesMax : live
  for (const [i, block] of blocks.entries()) {
    if (excess <= 0) break
    excess -= dirt.sums.countTouched(block)
    count = Math.max(count, i + 1)
  }
  return blocks.slice(0, count)
}
