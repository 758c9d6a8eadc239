import { randomFillSync } from 'node:crypto'
import { ID_WORDS } from './id-shape.ts'
import type { PartitionState } from '../partition-state.ts'
import { emptyState } from '../state-samples.ts'

const CLOCK = 1_700_000_000_000
export const SAMPLE_COUNTER = 'views'

/** For tests: a partition's state with one counter. */
export function hashedState(): PartitionState {
  const state = emptyState()
  state.counters.restore(SAMPLE_COUNTER, CLOCK)
  return state
}

/** For tests: adds ids that commits have, to an old bucket, which may leave, or to the newest. */
export function addHashed(state: PartitionState, where: 'old' | 'new', count: number): void {
  const { bucketMs } = state.counters.list[0]!
  const end = where === 'old' ? CLOCK - 2 * bucketMs : CLOCK + bucketMs
  const { hashed } = state.ids
  hashed.beginRestore()
  hashed.restore(hashed.bucket(0, end, 0), randomFillSync(new Uint8Array(count * ID_WORDS * 4)))
  for (const _ of hashed.endRestore());
}
