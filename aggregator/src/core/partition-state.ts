import type { Contracts } from '@countersink/shared/contracts'
import { CounterStates } from './series/counter-states.ts'
import { Dirt } from './sums/dirt.ts'
import { Interner } from './series/interner.ts'
import type { HashKey } from './keyed-hash.ts'
import { KeySampler } from './routing/key-sampler.ts'
import { Ledger } from './ledger.ts'
import { BlockPool } from './sums/block-pool.ts'
import { PagedSums } from './sums/paged-sums.ts'
import { Placement, type RoutingVersions } from './routing/placement.ts'
import { RememberedIds } from './ids/remembered-ids.ts'
import { UnfoldedSeries } from './series/unfolded-series.ts'

/** What a partition's state needs to be made. */
export type PartitionSettings = {
  partition: number
  /** Decides what is misrouted. */
  routing: RoutingVersions
  hashKey: HashKey
  contracts: Contracts
  /** The offset up to which everything is folded already. */
  next: number
  appendMax: number
}

/**
 * All that the fold of one partition knows. `open` and `ledger` hold what was folded since the last
 * seal; the rest is the state proper. It only ever moves forward: a partition whose commit is fenced
 * drops its state and loads it again.
 */
export class PartitionState {
  readonly partition: number
  readonly counters: CounterStates
  readonly interner: Interner
  readonly placement: Placement
  readonly ids: RememberedIds
  /** Per-window deltas of the next commit, at the finest sizes. */
  readonly open: PagedSums
  readonly ledger = new Ledger()
  readonly sampler = new KeySampler()
  /** What is sealed and not in its page yet, and the pages known. */
  readonly dirt: Dirt
  /** The first offset that is not sealed. */
  first: number
  /** The first offset that is not folded. */
  next: number
  /** Largest append time folded so far, epoch milliseconds. */
  appendMax: number
  readonly unfolded = new UnfoldedSeries()

  constructor(settings: PartitionSettings) {
    const { partition, routing, hashKey, contracts } = settings
    this.partition = partition
    this.counters = new CounterStates(hashKey, contracts)
    this.ids = new RememberedIds(hashKey)
    this.placement = new Placement(partition, routing)
    this.interner = new Interner(hashKey, this.counters, this.ids, this.placement)
    const pool = new BlockPool()
    this.open = new PagedSums(pool)
    this.dirt = new Dirt(pool)
    this.first = settings.next
    this.next = settings.next
    this.appendMax = settings.appendMax
    this.ledger.reset(settings.next)
  }

  /** True when there is something to commit. */
  get isMoved(): boolean {
    return this.next > this.first
  }

  /** True while stored runs of series have no look-up filter yet. */
  get lacksFilters(): boolean {
    return this.counters.list.some(({ runs }) => runs.lackFilters)
  }
}
