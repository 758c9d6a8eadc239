/**
 * The loads of the benchmarks. Nothing of Countersink is imported here, nor in load-oracle.ts: the
 * totals and windows that every side is held to are computed while events are made.
 */

export type LoadShape = {
  title: string
  keys: number
  /** The key that a number in [0, 1) picks. */
  pick: (unit: number) => number
  windowMs: number
  /** A copy repeats an event at most this far back; 1 is the event before. */
  copyDistanceMax: number
}

export type LoadOptions = {
  shape: LoadShape
  /** Copies included. */
  events: number
  seed: number
  /** Start of the event time, epoch ms, a full minute. */
  startMs: number
  /** Pairs of key and window up to which each window is checked; with more only the totals are. */
  windowCellsMax?: number
}

export type LoadEvent = { key: number; id: string; delta: number; at: number; copy: boolean }

export const COUNTER = 'video_views'
export const EVENTS_PER_MINUTE = 120_000
export const MINUTE_MS = 60_000
const SECOND_MS = 1000
/** One in ten events repeats one before it: no side can leave de-duplication out unnoticed. */
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

export const UNIT = 2 ** -32

/** Zipf with exponent 1: the key of rank r is picked in proportion to 1 / r. */
function zipf(keys: number): (unit: number) => number {
  let sums: Float64Array | undefined
  return (unit) => {
    sums ??= harmonicSums(keys)
    const wanted = unit * (sums[keys - 1] ?? 0)
    let [low, high] = [0, keys - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sums[middle] ?? 0) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}

function harmonicSums(keys: number): Float64Array {
  const sums = new Float64Array(keys)
  let sum = 0
  for (let rank = 1; rank <= keys; rank++) {
    sum += 1 / rank
    sums[rank - 1] = sum
  }
  return sums
}

/** Keys drawn alike, one-minute windows. */
export function flatShape(keys: number): LoadShape {
  return {
    title: `flat: ${keys.toLocaleString('en')} keys, all alike`,
    keys,
    pick: (unit) => Math.floor(unit * keys),
    windowMs: MINUTE_MS,
    copyDistanceMax: 1,
  }
}

const FLAT = flatShape(100_000)

/** `floor(r^3 * 100000)`: the first tenth of the keys gets almost half of the events. */
const CUBED: LoadShape = {
  ...FLAT,
  title: 'cubed: 100,000 keys by floor(r^3 * 100000)',
  pick: (unit) => Math.floor(unit ** 3 * FLAT.keys),
}

export const LOADS = {
  skewed: {
    ...FLAT,
    title: 'skewed: Zipf 1.0 over 1,000,000 keys',
    keys: 1_000_000,
    pick: zipf(1_000_000),
  },
  flat: FLAT,
  hot: { ...FLAT, title: 'hot: one key', keys: 1, pick: () => 0 },
  duplicates: {
    ...CUBED,
    title: 'duplicates: 10% repeat an event of the last 100,000, keys as in cubed',
    copyDistanceMax: 100_000,
  },
  windows: {
    ...flatShape(10_000),
    title: 'windows: one second each (2,000 events), 10,000 keys, all alike',
    windowMs: SECOND_MS,
  },
  /** What was measured before there were others: kept so that figures can be compared. */
  cubed: CUBED,
} satisfies Record<string, LoadShape>

export type LoadName = keyof typeof LOADS

/** A number of events as it is asked for: `4000000` or `4m`. */
export function eventCount(text: string): number {
  const millions = /^([\d.]+)m$/i.exec(text)?.[1]
  const count = millions === undefined ? Number(text) : Math.round(Number(millions) * 1e6)
  if (Number.isSafeInteger(count) && count > 0) return count
  throw new Error(`${text} is no number of events: 4000000 and 4m are`)
}

export function keyName(key: number): string {
  return `v_${String(key).padStart(5, '0')}`
}

/** The number of a key by its name; NaN when it is none of ours. */
export function keyOfName(name: string): number {
  return name.startsWith('v_') ? Number(name.slice(2)) : Number.NaN
}

/** Of event time: whole minutes that a load covers. */
export function minutesOf(events: number): number {
  return Math.ceil(events / EVENTS_PER_MINUTE)
}

/** A start for which no event lies in the future, and no side may drop one for its age. */
export function startOf(events: number, nowMs: number): number {
  return (Math.floor(nowMs / MINUTE_MS) - minutesOf(events) - 2) * MINUTE_MS
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

/** An id of 36 characters that looks like a UUID, from three random words and the event's number. */
function idOf(random: () => number, number: number): string {
  const [a, b, c] = [hex(random()), hex(random()), hex(random())]
  return `${a}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${hex(number)}`
}

/** The same events for the same options, in order of time but for the copies. */
export function* loadEvents(options: LoadOptions): Generator<LoadEvent> {
  const { pick, copyDistanceMax } = options.shape
  const random = createRandom(options.seed)
  const recent: LoadEvent[] = []
  let made = 0
  for (let i = 0; i < options.events; i++) {
    if (made > 0 && random() % COPY_EVERY === 0) {
      const back = 1 + (random() % Math.min(copyDistanceMax, made))
      const first = recent[(made - back) % copyDistanceMax]
      if (first !== undefined) yield { ...first, copy: true }
      continue
    }
    const event: LoadEvent = {
      key: pick(random() * UNIT),
      id: idOf(random, i),
      delta: 1 + (random() % DELTA_MAX),
      at: options.startMs + Math.floor((i * MINUTE_MS) / EVENTS_PER_MINUTE),
      copy: false,
    }
    recent[made++ % copyDistanceMax] = event
    yield event
  }
}

/** About 114 bytes. */
export function eventJson(event: LoadEvent): string {
  const { id, key, delta, at } = event
  return `{"id":"${id}","counter":"${COUNTER}","key":"${keyName(key)}","delta":${delta},"at":${at}}`
}
