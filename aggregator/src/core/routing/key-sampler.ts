/** One event in so many is looked at; a prime, so that no rhythm of the producers falls in with it. */
export const SAMPLE_EVERY = 61
const KEYS_MAX = 32

/** What the sampler reads of a batch of events. */
type Rows = {
  readonly count: number
  readonly reason: Uint8Array
  readonly counter: Int32Array
  readonly slot: Int32Array
}

export type SampledKey = { counter: number; slot: number; count: number }
export type Sample = { total: number; keys: SampledKey[] }

/**
 * Finds the keys that take much of a partition, for less than a nanosecond an event: of each 61st
 * event it counts the series, in a table of 32 (Misra and Gries: when a new one finds no place, all
 * are counted down by one). Any key with more than a 33rd of the events is in there, its count too
 * low by at most a 33rd of the total.
 */
export class KeySampler {
  readonly #counters = new Int32Array(KEYS_MAX)
  readonly #slots = new Int32Array(KEYS_MAX)
  readonly #counts = new Int32Array(KEYS_MAX)
  #used = 0
  #total = 0
  #next = 0

  take(rows: Rows): void {
    let row = this.#next
    for (; row < rows.count; row += SAMPLE_EVERY) {
      this.#total++
      if (rows.reason[row] === 0) this.#add(rows.counter[row]!, rows.slot[row]!)
    }
    this.#next = row - rows.count
  }

  /** What was seen since the last call; the sampler starts again. */
  drain(): Sample {
    const keys = Array.from({ length: this.#used }, (_, i) => ({
      counter: this.#counters[i]!,
      slot: this.#slots[i]!,
      count: this.#counts[i]!,
    }))
    const sample = { total: this.#total, keys }
    this.#used = 0
    this.#total = 0
    return sample
  }

  #add(counter: number, slot: number): void {
    for (let i = 0; i < this.#used; i++) {
      if (this.#slots[i] !== slot || this.#counters[i] !== counter) continue
      this.#counts[i]!++
      return
    }
    if (this.#used < KEYS_MAX) {
      this.#put(this.#used++, counter, slot, 1)
      return
    }
    let kept = 0
    for (let i = 0; i < KEYS_MAX; i++) {
      const count = this.#counts[i]! - 1
      if (count > 0) this.#put(kept++, this.#counters[i]!, this.#slots[i]!, count)
    }
    this.#used = kept
  }

  #put(place: number, counter: number, slot: number, count: number): void {
    this.#counters[place] = counter
    this.#slots[place] = slot
    this.#counts[place] = count
  }
}
