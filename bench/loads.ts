/**
 * The load of the benchmarks, and what must come out of it. Nothing of Countersink is imported
 * here: the totals and windows that both sides are held to are computed while events are made.
 */

export type LoadOptions = {
  /** Copies included. */
  events: number
  seed: number
  /** Start of the event time, epoch ms, a full minute. */
  startMs: number
}

export type LoadEvent = { key: number; id: string; delta: number; at: number }

export const COUNTER = 'video_views'
export const KEYS = 100_000
export const EVENTS_PER_MINUTE = 120_000
export const MINUTE_MS = 60_000
/** One in ten events repeats the one before it. */
const COPY_EVERY = 10
const DELTA_MAX = 9

/** Small, quick and good enough for loads: 32 bits a step. Source: Tommy Ettinger's mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
}

const UNIT = 2 ** -32

/** Skewed keys, `floor(r^3 * 100000)`: the first tenth of the keys gets almost half of the events. */
export function keyNumber(random: number): number {
  return Math.floor((random * UNIT) ** 3 * KEYS)
}

export function keyName(key: number): string {
  return `v_${String(key).padStart(5, '0')}`
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

/** An id of 36 characters that looks like a UUID, from three random words and the event's number. */
function idOf(random: () => number, number: number): string {
  const [a, b, c] = [hex(random()), hex(random()), hex(random())]
  return `${a}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${hex(number)}`
}

/** The same events for the same options, in order of time. */
export function* loadEvents(options: LoadOptions): Generator<LoadEvent> {
  const random = createRandom(options.seed)
  let previous: LoadEvent | undefined
  for (let i = 0; i < options.events; i++) {
    if (previous !== undefined && random() % COPY_EVERY === 0) {
      yield previous
      continue
    }
    const event: LoadEvent = {
      key: keyNumber(random()),
      id: idOf(random, i),
      delta: 1 + (random() % DELTA_MAX),
      at: options.startMs + Math.floor((i * MINUTE_MS) / EVENTS_PER_MINUTE),
    }
    previous = event
    yield event
  }
}

/** About 113 bytes. */
export function eventJson(event: LoadEvent): string {
  const { id, key, delta, at } = event
  return `{"id":"${id}","counter":"${COUNTER}","key":"${keyName(key)}","delta":${delta},"at":${at}}`
}

/** What was counted once all of a load is: sums by key, and by key and minute. */
export class LoadOracle {
  readonly totals = new Float64Array(KEYS)
  readonly #startMs: number
  readonly #minutes: number
  readonly #windows: Float64Array
  #previous: LoadEvent | undefined
  applied = 0
  copies = 0

  constructor(options: LoadOptions) {
    this.#startMs = options.startMs
    this.#minutes = Math.ceil(options.events / EVENTS_PER_MINUTE)
    this.#windows = new Float64Array(this.#minutes * KEYS)
  }

  add(event: LoadEvent): void {
    // Copies follow their first at once: it is the same object.
    if (event === this.#previous) {
      this.copies++
      return
    }
    this.#previous = event
    this.applied++
    const minute = Math.floor((event.at - this.#startMs) / MINUTE_MS)
    const cell = minute * KEYS + event.key
    this.totals[event.key] = (this.totals[event.key] ?? 0) + event.delta
    this.#windows[cell] = (this.#windows[cell] ?? 0) + event.delta
  }

  total(key: number): number {
    return this.totals[key] ?? 0
  }

  window(key: number, startMs: number): number {
    const minute = (startMs - this.#startMs) / MINUTE_MS
    return this.#windows[minute * KEYS + key] ?? 0
  }

  /** How many keys, and how many pairs of key and minute, have a sum. Deltas are positive. */
  counts(): { keys: number; windows: number } {
    const positive = (sums: Float64Array): number =>
      sums.reduce((count, sum) => count + (sum > 0 ? 1 : 0), 0)
    return { keys: positive(this.totals), windows: positive(this.#windows) }
  }
}
