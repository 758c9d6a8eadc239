import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import type { Columns } from '../columns.ts'
import { grown } from '../typed-growth.ts'

const { eventsMax } = PACKED_LIMITS
/** A record has at most one pair an event, so the table is at most half full. */
const PLACES = 2 * eventsMax
const SLOTS_INITIAL = 1024

/**
 * For the pairs (series, set of dims) of one packed record that were met before: the slots of their
 * breakdowns, so that names are put together and looked up once a pair instead of once an event.
 */
export class BreakdownCache {
  /** 1 + the pair as one number; 0 is empty. */
  readonly #pairs = new Int32Array(PLACES)
  readonly #starts = new Int32Array(PLACES)
  readonly #ends = new Int32Array(PLACES)
  readonly #used = new Int32Array(eventsMax)
  #size = 0
  #slots = new Int32Array(SLOTS_INITIAL)
  #length = 0

  clear(): void {
    for (let i = 0; i < this.#size; i++) this.#pairs[this.#used[i]!] = 0
    this.#size = 0
    this.#length = 0
  }

  /** Adds the breakdowns of a pair to the columns; false when it was not met before. */
  copy(series: number, dimset: number, columns: Columns): boolean {
    const place = this.#placeOf(series, dimset)
    if (this.#pairs[place] === 0) return false
    const end = this.#ends[place]!
    for (let i = this.#starts[place]!; i < end; i++) columns.addBreakdown(this.#slots[i]!)
    return true
  }

  /** Keeps the breakdowns of the columns from number `from` on as those of the pair. */
  keep(series: number, dimset: number, columns: Columns, from: number): void {
    const place = this.#placeOf(series, dimset)
    if (this.#pairs[place] !== 0) return
    this.#pairs[place] = pairOf(series, dimset) + 1
    this.#used[this.#size++] = place
    this.#starts[place] = this.#length
    for (let i = from; i < columns.breakdownCount; i++) this.#push(columns.breakdownSlots[i]!)
    this.#ends[place] = this.#length
  }

  #placeOf(series: number, dimset: number): number {
    const pair = pairOf(series, dimset)
    let place = (Math.imul(pair, 0x9e3779b1) >>> 8) & (PLACES - 1)
    while (this.#pairs[place] !== 0 && this.#pairs[place] !== pair + 1) {
      place = (place + 1) & (PLACES - 1)
    }
    return place
  }

  #push(slot: number): void {
    if (this.#length === this.#slots.length) {
      this.#slots = grown(this.#slots, new Int32Array(2 * this.#length))
    }
    this.#slots[this.#length++] = slot
  }
}

/** Below 2^28. */
function pairOf(series: number, dimset: number): number {
  return series * eventsMax + dimset
}
