import type { PartitionState } from './core/partition-state.ts'
import { LIMITS } from './limits.ts'

export type CommitMode = 'live' | 'behind' | 'flush' | 'idle'

/**
 * Which dirty blocks a commit writes, the ones dirty for the longest first. A live commit writes a
 * few, so that none is long and all get their turn; one that flushes writes all; an idle one many;
 * one that is behind all but those that the next will fill further. Above the bound on dirt a commit
 * writes what it must, whatever its mode. The commit goes from offset `first` to before `next`.
 */
export function duePages(
  state: Pick<PartitionState, 'dirt' | 'counters'>,
  mode: CommitMode,
  { first, next }: { first: number; next: number },
): number[] {
  const { dirt } = state
  const dirty = dirt.sums.size
  const blocks = dirt.oldest(dirty)
  if (mode === 'flush') return blocks
  if (mode === 'behind') return withoutFilling(state, blocks, first)
  const turns = next > first ? LIMITS.livePagesTurns : LIMITS.quietPagesTurns
  const live = Math.min(Math.ceil(dirty / turns), LIMITS.livePagesMax)
  let excess = dirt.entries - LIMITS.dirtEntriesMax
  let count = Math.max(mode === 'idle' ? LIMITS.idlePagesMax : live, dirty - LIMITS.dirtBlocksMax)
  for (const [i, block] of blocks.entries()) {
    if (excess <= 0) break
    excess -= dirt.sums.countTouched(block)
    count = Math.max(count, i + 1)
  }
  return blocks.slice(0, count)
}

/**
 * Catching up, totals and the windows that the clock is in when a commit is made are filled further
 * by the next: their pages wait for that one, and no longer. So a window's are written once, and
 * totals with every other commit; a take-over finds dirt of two commits either way.
 */
function withoutFilling(
  { dirt, counters }: Pick<PartitionState, 'dirt' | 'counters'>,
  blocks: readonly number[],
  first: number,
): number[] {
  let room: number = LIMITS.dirtEntriesMax
  return blocks.filter((block) => {
    const { counter } = dirt.sums.familyOf(block)
    const isFilling = dirt.isFilling(block, counters.list[counter]!.clock)
    if (!isFilling || dirt.sums.from[block]! < first) return true
    room -= dirt.sums.countTouched(block)
    return room < 0
  })
}
