import {
  type Contract,
  type Contracts,
  CONTRACT_LIMITS,
  contractOf,
  DEFAULT_CONTRACT,
} from '@countersink/shared/contracts'
import { type HashKey, viewOf } from './keyed-hash.ts'
import { SeriesDictionary } from './series-dictionary.ts'

export const UNKNOWN_COUNTER = -1
export const TOO_MANY_COUNTERS = -2

/** One counter in one partition: its contract, its slots, and what of it is in commits already. */
export type CounterState = {
  readonly name: string
  readonly contract: Contract
  /** False when today's contracts no longer count it: it keeps what it has, new events are invalid. */
  readonly accepted: boolean
  readonly latenessMs: number
  readonly bucketMs: number
  readonly finestMs: number
  /** Of each breakdown the names of its dims, UTF-8, in sorted order. */
  readonly breakdowns: readonly (readonly Uint8Array[])[]
  readonly dictionary: SeriesDictionary
  /** Slots below are in the series table. */
  seriesSaved: number
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

  constructor(hashKey: HashKey, contracts: Contracts) {
    this.#hashKey = hashKey
    this.#contracts = contracts
    this.#names = new SeriesDictionary(hashKey, new Uint8Array(0))
  }

  /** The ordinal of a counter's name, dealt if need be, or a negative number that says why not. */
  ordinal(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const known = this.#names.find(bytes, view, start, end)
    if (known >= 0) return this.list[known]!.accepted ? known : UNKNOWN_COUNTER
    const name = Buffer.from(bytes.subarray(start, end))
    if (contractOf(this.#contracts, name.toString()) === undefined) return UNKNOWN_COUNTER
    if (this.list.length >= CONTRACT_LIMITS.countersPerPartitionMax) return TOO_MANY_COUNTERS
    return this.#add(name)
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
    const ordinal = this.#names.deal(name, 0, name.length, name.length, 0)
    this.list.push({
      name: text,
      contract,
      accepted: accepted !== undefined,
      latenessMs: contract.latenessMs,
      bucketMs: Math.ceil(contract.latenessMs / CONTRACT_LIMITS.bucketsPerLateness),
      finestMs: contract.windowSizesMs[0]!,
      breakdowns: contract.breakdowns.map((names) => names.map((dim) => Buffer.from(dim))),
      dictionary: new SeriesDictionary(this.#hashKey, name),
      seriesSaved: 0,
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
