import assert from 'node:assert'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type pg from 'pg'
import type { CounterState } from '../core/series/counter-states.ts'
import { formatSeriesName } from '../core/series/series-dictionary.ts'
import { RUN_SERIES_MAX } from '../core/series/series-runs.ts'
import { copyOut } from './copy-out.ts'

/** The runs that begin in so many slots are read at once: at most twice as many series. */
const SLOTS_PER_READ = RUN_SERIES_MAX

/** Of an array in binary format: dimensions, has nulls, type; of one that is not empty count and bound. */
const ARRAY_HEADER_BYTES = 20
const COUNT_AT = 12
const LENGTH_BYTES = 4
/** In front of a jsonb's text. */
const JSONB_VERSION_BYTES = 1

/**
 * Deals the stored slots of a counter in a partition to its empty dictionary, run by run, each of
 * which is read whole, since it is sorted by names. Ends by an exception when the signal aborts.
 */
export async function loadRuns(
  client: pg.ClientBase,
  schema: string,
  { counter, partition }: { counter: number; partition: number },
  state: CounterState,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const from = state.runs.until
    const rows = await copyOut(
      client,
      `select first, until, keys, slots, dims, block = 0 and filter is null
       from ${schema}.series_runs
       where counter = ${counter} and partition = ${partition}
         and first >= ${from} and first < ${from + SLOTS_PER_READ}
       order by first, from_key, block`,
    )
    for (let at = 0; at < rows.length;) {
      const first = rows[at]![0]!.readInt32BE()
      const until = rows[at]![1]!.readInt32BE()
      const hasFilter = rows[at]![5]![0] === 0
      const names = new RunNames(first, until)
      for (; at < rows.length && rows[at]![0]!.readInt32BE() === first; at++) {
        const [, , keys, slots, dims] = rows[at]!
        names.addBlock(keys!, slots!, dims!)
      }
      names.deal(state, hasFilter)
      // The partitions that are live must not stand still meanwhile.
      await nextTurn()
    }
    // No run begins at the end of the last one, or it had been read with it.
    if (state.runs.until < from + SLOTS_PER_READ) return
  }
}

/** The names of one run, put in the order of their slots. */
class RunNames {
  readonly #first: number
  readonly #until: number
  readonly #names: Buffer[]
  readonly #keyLengths: Int32Array

  constructor(first: number, until: number) {
    this.#first = first
    this.#until = until
    this.#names = Array.from({ length: until - first })
    this.#keyLengths = new Int32Array(until - first)
  }

  addBlock(keys: Buffer, slots: Buffer, dims: Buffer): void {
    const count = keys.readInt32BE(COUNT_AT)
    let keyAt = ARRAY_HEADER_BYTES
    let slotAt = ARRAY_HEADER_BYTES + LENGTH_BYTES
    let dimsAt = ARRAY_HEADER_BYTES
    for (let i = 0; i < count; i++) {
      const length = keys.readInt32BE(keyAt)
      const key = keys.subarray(keyAt + LENGTH_BYTES, keyAt + LENGTH_BYTES + length)
      keyAt += LENGTH_BYTES + length
      const place = slots.readInt32BE(slotAt) - this.#first
      slotAt += 2 * LENGTH_BYTES
      this.#keyLengths[place] = length
      this.#names[place] = key
      // The field is empty where it is null.
      if (dims.length === 0) continue
      const dimsLength = dims.readInt32BE(dimsAt)
      dimsAt += LENGTH_BYTES
      if (dimsLength < 0) continue
      const text = dims.toString('utf8', dimsAt + JSONB_VERSION_BYTES, dimsAt + dimsLength)
      this.#names[place] = formatSeriesName(key.toString(), JSON.parse(text) as Dims)
      dimsAt += dimsLength
    }
  }

  deal({ dictionary, runs }: CounterState, hasFilter: boolean): void {
    runs.restore({ first: this.#first, until: this.#until }, hasFilter)
    for (const [place, name] of this.#names.entries()) {
      assert(name !== undefined, `slot ${this.#first + place} has no name`)
      dictionary.deal(name, 0, name.length, this.#keyLengths[place]!)
    }
  }
}

type Dims = Record<string, string>
