import { CONTRACT_LIMITS, type Contracts, contractOf } from '@countersink/shared/contracts'
import type { CountEvent } from '@countersink/shared/event'
import { partitionIn, type RoutingVersion } from '@countersink/shared/routing-table'

/** Counters beyond this many are not checked; the aggregator's own bound is the same. */
const COUNTERS_MAX = CONTRACT_LIMITS.countersPerPartitionMax

/** What is wrong with the times of one counter's events. */
export type CounterLateness = {
  counter: string
  events: number
  latenessMs: number
  /** Events that the order of the file itself makes late, and the line of the first one. */
  lateByOrder: number
  lateByOrderLine: number
  /** Events that are late already because of what is counted. */
  lateByClock: number
  lateByClockLine: number
  /** Events from the future, which are invalid. */
  future: number
  futureLine: number
  /** Largest distance of an event behind the clock at its place, in milliseconds. */
  behindMs: number
}

type CounterState = CounterLateness & { stored: Float64Array; clocks: Float64Array }

export type LatenessCheckOptions = {
  contracts: Contracts
  /** Partitions of the topic: each has a clock of its own. */
  partitions: number
  /** The version that rules an event time. */
  versionAt: (at: number) => RoutingVersion | undefined
  /** The clock of a counter in each partition as it stands now; undefined where none is known. */
  clockOf: (counter: string, partition: number) => number | undefined
  nowMs: number
}

/**
 * Follows the clocks as the aggregator will: an event is late when its `at` lies further behind the
 * largest `at` of its counter in its partition than the contract's lateness.
 */
export class LatenessCheck {
  readonly #options: LatenessCheckOptions
  readonly #counters = new Map<string, CounterState>()

  constructor(options: LatenessCheckOptions) {
    this.#options = options
  }

  add(event: CountEvent, line: number): void {
    const state = this.#counters.get(event.counter) ?? this.#start(event.counter)
    if (state === undefined) return
    state.events++
    if (event.at > this.#options.nowMs + CONTRACT_LIMITS.skewMs) {
      if (state.future++ === 0) state.futureLine = line
      return
    }
    const partition = this.#partitionOf(event)
    const clock = state.clocks[partition] ?? -1
    if (event.at > clock) {
      state.clocks[partition] = event.at
      return
    }
    state.behindMs = Math.max(state.behindMs, clock - event.at)
    if (clock - event.at <= state.latenessMs) return
    if ((state.stored[partition] ?? -1) - event.at > state.latenessMs) {
      if (state.lateByClock++ === 0) state.lateByClockLine = line
    } else if (state.lateByOrder++ === 0) state.lateByOrderLine = line
  }

  /** The counters with events that will not count, worst first. */
  problems(): CounterLateness[] {
    const uncounted = (c: CounterLateness): number => c.lateByOrder + c.lateByClock + c.future
    return [...this.#counters.values()]
      .filter((c) => uncounted(c) > 0)
      .toSorted((a, b) => uncounted(b) - uncounted(a))
  }

  #partitionOf(event: CountEvent): number {
    const version = this.#options.versionAt(event.at)
    return version === undefined ? 0 : partitionIn(version, event.counter, event.key, event.id)
  }

  #start(counter: string): CounterState | undefined {
    const contract = contractOf(this.#options.contracts, counter)
    if (contract === undefined || this.#counters.size >= COUNTERS_MAX) return undefined
    const { partitions, clockOf } = this.#options
    const stored = Float64Array.from({ length: partitions }, (_, p) => clockOf(counter, p) ?? -1)
    const state: CounterState = {
      counter,
      events: 0,
      latenessMs: contract.latenessMs,
      lateByOrder: 0,
      lateByOrderLine: 0,
      lateByClock: 0,
      lateByClockLine: 0,
      future: 0,
      futureLine: 0,
      behindMs: 0,
      stored,
      clocks: stored.slice(),
    }
    this.#counters.set(counter, state)
    return state
  }
}
