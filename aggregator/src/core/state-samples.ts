import { type Contracts, parseContracts } from '@countersink/shared/contracts'
import { PAGE_SLOTS } from '@countersink/shared/page-format'
import { seriesName } from '../../../test/oracle/oracle.ts'
import { hashKeyOf } from './keyed-hash.ts'
import { PartitionState } from './partition-state.ts'
import { RoutingVersions } from './routing/placement.ts'
import { parseSeriesName } from './series/series-dictionary.ts'

/** For tests: the only partition of a topic, of which nothing was read. */
export function emptyState(contracts: Contracts = parseContracts('')): PartitionState {
  return new PartitionState({
    partition: 0,
    routing: RoutingVersions.fixed(1),
    hashKey: hashKeyOf(Buffer.from('0123456789abcdef')),
    contracts,
    next: 0,
    appendMax: 0,
  })
}

/** For tests: all sums that a state holds in pages and dirt, by the oracle's names. */
export function sumsOf(state: PartitionState): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const pages of [state.dirt.cache, state.dirt.sums]) {
    for (let block = pages.oldest; block >= 0; block = pages.after(block)) {
      const { counter, size, start } = pages.familyOf(block)
      const { name: counterName, dictionary } = state.counters.list[counter]!
      for (let index = 0; index < PAGE_SLOTS; index++) {
        if (!pages.isTouched(block, index)) continue
        const slot = pages.pageOf(block) * PAGE_SLOTS + index
        const { key, dims } = parseSeriesName(dictionary.name(slot))
        const series = seriesName(counterName, key, dims)
        const name = size === 0 ? series : `${series} ${size} ${start}`
        sums.set(name, (sums.get(name) ?? 0n) + pages.sum(block, index))
      }
    }
  }
  return sums
}

/** For tests: closes what was folded, as a commit does. */
export function seal(state: PartitionState): void {
  state.dirt.absorb(state.open, state.first, state.counters.list)
  state.first = state.next
}
