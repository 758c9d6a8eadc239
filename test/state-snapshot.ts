import { formatSdkId, SDK_ID } from '@countersink/shared/sdk-id'
import type { PartitionState } from '@countersink/aggregator/core/partition-state'

/**
 * What the fold of a partition knows besides its sums, in one comparable value: slots by name,
 * clocks, and remembered ids.
 */
export function snapshotOf(state: PartitionState) {
  return {
    next: state.next,
    appendMax: state.appendMax,
    counters: state.counters.list.map(({ name, clock, dictionary }) => ({
      name,
      clock,
      series: Array.from({ length: dictionary.size }, (_, slot) =>
        Buffer.from(dictionary.name(slot)).toString(),
      ),
    })),
    ids: idsOf(state),
  }
}

/** Counter, end of the bucket, and the 128 bits or the text of every remembered id, sorted. */
function idsOf(state: PartitionState): string[] {
  const ids: string[] = []
  state.ids.hashed.forEach(({ counter, end }, words) => {
    ids.push(`${counter} ${end} ${words.join(' ')}`)
  })
  const name = Buffer.alloc(SDK_ID.sessionChars)
  state.ids.intervals.forEach(({ counter, end }, lane, first, length) => {
    const number = state.ids.lanes.copyName(lane, name, 0)
    for (let i = 0; i < length; i++) {
      ids.push(`${counter} ${end} ${formatSdkId(name.toString(), number, first + i)}`)
    }
  })
  return ids.sort()
}
