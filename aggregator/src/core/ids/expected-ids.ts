import type { PartitionState } from '../partition-state.ts'

/** Waiting for fewer is not worth it; for more, what was expected in vain would take too much memory. */
const EXPECTED_MIN = 50_000
const EXPECTED_MAX = 1 << 20

/**
 * How many ids a partition will soon remember that has just met its first ones and is far behind, by
 * what it has folded so far; 0 when it is not. `folded` and `waiting` are records, `now` is the time
 * in epoch milliseconds. When the log is older than the lateness, only so much of it is remembered.
 */
export function expectedIds(
  { ids, counters, appendMax }: Pick<PartitionState, 'ids' | 'counters' | 'appendMax'>,
  folded: number,
  waiting: number,
  now: number,
): number {
  const latenessMs = Math.max(...counters.list.map(({ contract }) => contract.latenessMs))
  const remembered = Math.min(1, latenessMs / Math.max(1, now - appendMax))
  const expected = Math.floor((ids.hashed.size / folded) * waiting * remembered)
  return expected < EXPECTED_MIN ? 0 : Math.min(expected, EXPECTED_MAX)
}
