import {
  emptyRoutingTable,
  partitionIn,
  ROUTING_TIMES,
  type RoutingTable,
  type RoutingTimes,
  type RoutingVersion,
  shardPartition,
  untoldVersion,
  versionAt,
  waysOf,
} from './routing-table.ts'
import { homePartition, recordHash } from './routing.ts'

/** Nobody can say yet which version rules the event: it must wait until the table is fresh again. */
export const ROUTE_STALE = -1
/** The event is so far in the future that no version of its time can be known: it is invalid. */
export const ROUTE_FUTURE = -2

/** A moment on both clocks, milliseconds: epoch, and one that nobody sets. */
export type Moment = { wallMs: number; monotonicMs: number }

export function momentNow(): Moment {
  return { wallMs: Date.now(), monotonicMs: performance.now() }
}

/**
 * Chooses partitions by a routing table, and knows what the table may not know: a version that was
 * told after the last look at the routing topic. Every version is told its notice ahead, so a table
 * no older than the lease knows all that rules the present; an older one only what ruled before.
 */
export class Router {
  readonly #now: () => Moment
  #table: RoutingTable = emptyRoutingTable('')
  /** What rules while no version is told: the topic as it is. */
  #untold: RoutingVersion | undefined
  #freshAt: Moment = { wallMs: -Infinity, monotonicMs: -Infinity }
  #turn = 0

  constructor(now: () => Moment = momentNow) {
    this.#now = now
  }

  /** Takes what a complete look at the routing topic gave, which began at `freshAt`. */
  update(table: RoutingTable, topicPartitions: number, freshAt: Moment): void {
    this.#table = table
    this.#freshAt = freshAt
    if (this.#untold?.partitions === topicPartitions) return
    this.#untold = untoldVersion(topicPartitions)
  }

  get table(): RoutingTable {
    return this.#table
  }

  /** All versions; while none is told, the topic as it is. Empty before the first look. */
  get versions(): readonly RoutingVersion[] {
    const { versions } = this.#table
    return versions.length > 0 || this.#untold === undefined ? versions : [this.#untold]
  }

  /** The version in force at `at` as far as is known: one object for as long as it is that one. */
  versionAt(at: number): RoutingVersion | undefined {
    return versionAt(this.#table, at) ?? this.#untold
  }

  /** Within its lease the table knows every version that can rule an event of now. */
  isFresh(): boolean {
    const now = this.#now()
    const { wallMs, monotonicMs } = this.#freshAt
    // Both clocks: one stands still while the machine sleeps, the other may be set back.
    const ageMs = Math.max(now.monotonicMs - monotonicMs, now.wallMs - wallMs)
    return ageMs <= this.#times().leaseMs
  }

  #times(): RoutingTimes {
    return this.#table.versions.at(-1)?.times ?? ROUTING_TIMES
  }

  /**
   * The partition of an event that has its id; or ROUTE_STALE, or ROUTE_FUTURE. Every copy gets the
   * same partition, from whatever router, as long as it repeats `at`. `hash` is recordHash, for
   * those who have it.
   */
  partitionOf(counter: string, key: string, id: string, at: number, hash?: number): number {
    const version = this.versionAt(at)
    if (version === undefined || at >= this.#table.knownUntil) return ROUTE_STALE
    if (at > this.#now().wallMs + this.#times().aheadMs) return ROUTE_FUTURE
    // What ruled before the last look is known for ever, whatever has been told since.
    if (at > this.#freshAt.wallMs && !this.isFresh()) return ROUTE_STALE
    return partitionIn(version, counter, key, id, hash)
  }

  /**
   * A partition for an event whose id is made now, and will carry the partition: any of its shards
   * will do, in turn. Never stale, since no copy of it will be routed by a table; ROUTE_STALE only
   * while nothing at all is known of the topic.
   */
  partitionForNew(
    counter: string,
    key: string,
    at: number,
    hash: number = recordHash(counter, key),
  ): number {
    const version = this.versionAt(at)
    if (version === undefined) return ROUTE_STALE
    const { partitions } = version
    const home = homePartition(hash, partitions)
    const ways = waysOf(version, counter, key)
    return ways === 1 ? home : shardPartition(home, this.#turn++ % ways, ways, partitions)
  }
}
