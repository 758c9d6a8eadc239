import { keyOfName, type LoadEvent, type LoadOptions, MINUTE_MS, minutesOf } from './loads.ts'

/** Cells of the table of windows; a load with more is held to its totals only. 400 MB. */
const WINDOW_CELLS_MAX = 100_000_000

/** What was counted once all of a load is: sums by key, and by key and window. */
export class LoadOracle {
  readonly windowMs: number
  /** Of event time, that the load covers. */
  readonly minutes: number
  readonly totals: Float64Array
  readonly #startMs: number
  readonly #keys: number
  readonly #windows: Uint32Array | undefined
  applied = 0

  constructor(options: LoadOptions) {
    const { keys, windowMs } = options.shape
    this.windowMs = windowMs
    this.minutes = minutesOf(options.events)
    this.totals = new Float64Array(keys)
    this.#startMs = options.startMs
    this.#keys = keys
    const cells = Math.ceil((this.minutes * MINUTE_MS) / windowMs) * keys
    const { windowCellsMax = WINDOW_CELLS_MAX } = options
    if (cells <= windowCellsMax) this.#windows = new Uint32Array(cells)
  }

  /** Whether single windows can be asked for, or only the totals. */
  get knowsWindows(): boolean {
    return this.#windows !== undefined
  }

  add(event: LoadEvent): void {
    if (event.copy) return
    this.applied++
    this.totals[event.key] = (this.totals[event.key] ?? 0) + event.delta
    if (this.#windows === undefined) return
    const cell = this.#cellOf(event.key, event.at)
    this.#windows[cell] = (this.#windows[cell] ?? 0) + event.delta
  }

  total(key: number): number {
    return this.totals[key] ?? 0
  }

  window(key: number, startMs: number): number {
    return this.#windows?.[this.#cellOf(key, startMs)] ?? 0
  }

  #cellOf(key: number, at: number): number {
    return Math.floor((at - this.#startMs) / this.windowMs) * this.#keys + key
  }

  /** How many keys, and how many pairs of key and window, have a sum. Deltas are positive. */
  counts(): { keys: number; windows: number } {
    let [keys, windows] = [0, 0]
    for (const sum of this.totals) if (sum > 0) keys++
    for (const sum of this.#windows ?? []) if (sum > 0) windows++
    return { keys, windows }
  }
}

/** Compares what a side has, sum by sum, with the oracle, and then that nothing is missing. */
export class SumCheck {
  readonly #oracle: LoadOracle
  readonly #side: string
  #keys = 0
  #windows = 0

  constructor(oracle: LoadOracle, side: string) {
    this.#oracle = oracle
    this.#side = side
  }

  /** Throws when the sum is not the oracle's. */
  total(key: string, sum: number): void {
    const right = this.#oracle.total(keyOfName(key))
    if (sum !== right) throw new Error(`${this.#side}: ${key} has ${sum}, not ${right}`)
    this.#keys++
  }

  /** Throws when the sum is not the oracle's. */
  window(key: string, startMs: number, sum: number): void {
    if (!this.#oracle.knowsWindows) return
    const right = this.#oracle.window(keyOfName(key), startMs)
    if (sum !== right) {
      throw new Error(`${this.#side}: ${key} at ${startMs} has ${sum}, not ${right}`)
    }
    this.#windows++
  }

  /** Throws when a total or window was not among those that were compared. */
  finish(): void {
    const found = { keys: this.#keys, windows: this.#windows }
    const expected = this.#oracle.counts()
    if (found.keys !== expected.keys || found.windows !== expected.windows) {
      const texts = [found, expected].map((counts) => JSON.stringify(counts))
      throw new Error(`${this.#side} has ${texts[0]}, not ${texts[1]}`)
    }
  }
}
