import {
  type Contract,
  type Contracts,
  CONTRACT_LIMITS,
  contractOf,
  DEFAULT_CONTRACT,
} from '@countersink/shared/contracts'
import { type HashKey, viewOf } from '../keyed-hash.ts'
import { SeriesDictionary } from './series-dictionary.ts'
import { SeriesRuns } from './series-runs.ts'

export const NEW_COUNTER = -1
export const UNKNOWN_COUNTER = -2

/** One counter in one partition: its contract, its slots, and what of it is in commits already. */
export type CounterState = {
  readonly name: string
  readonly nameBytes: Uint8Array
  readonly contract: Contract
  /** False when today's contracts no longer count it: it keeps what it has, new events are invalid. */
  readonly accepted: boolean
  readonly latenessMs: number
  readonly bucketMs: number
  readonly finestMs: number
  /** Of each breakdown the names of its dims, UTF-8, in sorted order. */
  readonly breakdowns: readonly (readonly Uint8Array[])[]
  readonly dictionary: SeriesDictionary
  readonly runs: SeriesRuns
  /** Largest `at` of a valid event; -Infinity before the first. */
  clock: number
  clockSaved: number
  /** The clock less the lateness at which its first bucket of ids goes. */
  expiresAt: number
}

/**
 * The counters a partition has met, in order; a counter's place is its ordinal. Names are looked
 * up as bytes, and the last one again first, since neighbours mostly count the same thing.
 */
export class CounterStates {
  readonly list: CounterState[] = []
  readonly #hashKey: HashKey
  readonly #contracts: Contracts
  readonly #names: SeriesDictionary
  #lastName: Uint8Array = new Uint8Array(0)
  #last = NEW_COUNTER

  constructor(hashKey: HashKey, contracts: Contracts) {
    this.#hashKey = hashKey
    this.#contracts = contracts
    this.#names = new SeriesDictionary(hashKey, new Uint8Array(0))
  }

  /** The ordinal of a counter's name; NEW_COUNTER, or UNKNOWN_COUNTER if it is no longer counted. */
  find(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    if (this.#isLast(bytes, start, end)) return this.#last
    const known = this.#names.find(bytes, view, start, end)
    if (known < 0) return NEW_COUNTER
    if (!this.list[known]!.accepted) return UNKNOWN_COUNTER
    this.#lastName = this.list[known]!.nameBytes
    this.#last = known
    return known
  }

  #isLast(bytes: Uint8Array, start: number, end: number): boolean {
    const last = this.#lastName
    if (last.length !== end - start) return false
    for (let i = 0; i < last.length; i++) {
      if (last[i] !== bytes[start + i]) return false
    }
    return this.#last >= 0
  }

  /** What a counter that is new here would be counted under; undefined: it is not counted. */
  contractOf(name: Uint8Array): Contract | undefined {
    return contractOf(this.#contracts, Buffer.from(name).toString())
  }

  get isFull(): boolean {
    return this.list.length >= CONTRACT_LIMITS.countersPerPartitionMax
  }

  /**
   * Deals an ordinal to a counter that is new. Only for a valid event: what a bad one would leave
   * behind is in no table, and would be forgotten at a crash.
   */
  deal(name: Uint8Array): number {
    return this.#add(Buffer.from(name))
  }

  /** Brings a counter back that was stored; in the order in which they were met. */
  restore(name: string, clock: number): CounterState {
    const bytes = Buffer.from(name)
    const found = this.#names.find(bytes, viewOf(bytes), 0, bytes.length)
    const state = this.list[found >= 0 ? found : this.#add(bytes)]!
    state.clock = clock
    state.clockSaved = clock
    return state
  }

  #add(name: Buffer): number {
    const text = name.toString()
    const accepted = contractOf(this.#contracts, text)
    const contract = accepted ?? DEFAULT_CONTRACT
    const ordinal = this.#names.deal(name, 0, name.length, name.length)
    this.list.push({
      name: text,
      nameBytes: name,
      contract,
      accepted: accepted !== undefined,
      latenessMs: contract.latenessMs,
      bucketMs: Math.ceil(contract.latenessMs / CONTRACT_LIMITS.bucketsPerLateness),
      finestMs: contract.windowSizesMs[0]!,
      breakdowns: contract.breakdowns.map((names) => names.map((dim) => Buffer.from(dim))),
      dictionary: new SeriesDictionary(this.#hashKey, name),
      runs: new SeriesRuns(),
      clock: -Infinity,
      clockSaved: -Infinity,
      expiresAt: Infinity,
    })
    return ordinal
  }

  get byteLength(): number {
    return this.list.reduce((sum, counter) => sum + counter.dictionary.byteLength, 0)
  }
}
