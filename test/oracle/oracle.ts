// What the numbers have to be, computed the slow and obvious way. It shares no code with the
// product (lint forbids it any import of ours): Maps, strings and bigint, one event at a time.

export type OracleContract = {
  latenessMs: number
  windowSizesMs: number[]
  breakdowns: string[][]
  skewMs: number
  positiveOnly?: boolean
  deltaMax?: number
}

export type OracleEvent = {
  id: string
  counter: string
  key: string
  delta: number
  at: number
  dims?: Record<string, string>
}

export type OracleOutcome = 'applied' | 'duplicate' | 'conflict' | 'late' | 'invalid'

type Remembered = { bucketEnd: number; payload: string }

/** One partition's fold. Several partitions are several of these, their sums added. */
export class Oracle {
  readonly totals = new Map<string, bigint>()
  /** series, size and start -> sum */
  readonly windows = new Map<string, bigint>()
  readonly outcomes: OracleOutcome[] = []
  #contract: OracleContract
  readonly #clocks = new Map<string, number>()
  readonly #ids = new Map<string, Remembered>()
  #appendMax = 0

  constructor(contract: OracleContract) {
    this.#contract = contract
  }

  /** A record that holds no event; its append time counts like any other's. */
  invalid(appendTime = 0): void {
    this.#appendMax = Math.max(this.#appendMax, appendTime)
    this.outcomes.push('invalid')
  }

  /** Another contract from the next event on; a shorter lateness forgets at once. */
  changeContract(contract: OracleContract): void {
    this.#contract = contract
    for (const [counter, clock] of this.#clocks) this.#expire(counter, clock)
  }

  apply(event: OracleEvent, appendTime: number): OracleOutcome {
    this.#appendMax = Math.max(this.#appendMax, appendTime)
    const outcome = this.#judge(event)
    this.outcomes.push(outcome)
    if (outcome === 'applied') this.#count(event)
    return outcome
  }

  count(outcome: OracleOutcome): number {
    return this.outcomes.filter((o) => o === outcome).length
  }

  #judge(event: OracleEvent): OracleOutcome {
    const { latenessMs, skewMs, positiveOnly = false, deltaMax = Infinity } = this.#contract
    if (positiveOnly && event.delta < 0) return 'invalid'
    if (Math.abs(event.delta) > deltaMax) return 'invalid'
    if (event.at > this.#appendMax + skewMs) return 'invalid'
    const clock = this.#clocks.get(event.counter)
    if (clock !== undefined && event.at < clock - latenessMs) return 'late'
    // What an SDK made names one event of its counter, whatever else a copy of it says.
    const isMade = isMadeBySdk(event.id)
    const identity = JSON.stringify([event.counter, isMade ? null : event.key, event.id])
    const payload = isMade ? '' : JSON.stringify([event.delta, event.at, sorted(event.dims ?? {})])
    const known = this.#ids.get(identity)
    if (clock === undefined || event.at > clock) this.#advance(event.counter, event.at)
    if (known !== undefined) return known.payload === payload ? 'duplicate' : 'conflict'
    const width = Math.ceil(latenessMs / 8)
    const bucketEnd = (Math.floor(event.at / width) + 1) * width
    this.#ids.set(identity, { bucketEnd, payload })
    return 'applied'
  }

  /** A bucket of ids goes when every `at` that it can hold is late. */
  #advance(counter: string, at: number): void {
    this.#clocks.set(counter, at)
    this.#expire(counter, at)
  }

  #expire(counter: string, clock: number): void {
    for (const [identity, { bucketEnd }] of this.#ids) {
      const [owner] = JSON.parse(identity) as [string]
      if (owner === counter && bucketEnd <= clock - this.#contract.latenessMs)
        this.#ids.delete(identity)
    }
  }

  #count(event: OracleEvent): void {
    const series = [seriesName(event.counter, event.key, {})]
    for (const names of this.#contract.breakdowns) {
      const labels = names.map((name) => [name, event.dims?.[name]] as const)
      if (labels.some(([, label]) => label === undefined)) continue
      series.push(
        seriesName(event.counter, event.key, Object.fromEntries(labels) as Record<string, string>),
      )
    }
    for (const name of series) {
      add(this.totals, name, event.delta)
      for (const size of this.#contract.windowSizesMs) {
        const start = Math.floor(event.at / size) * size
        add(this.windows, `${name} ${size} ${start}`, event.delta)
      }
    }
  }
}

export function seriesName(counter: string, key: string, dims: Record<string, string>): string {
  return JSON.stringify([counter, key, sorted(dims)])
}

function isMadeBySdk(id: string): boolean {
  const match = /^[0-9a-z]{9}[\w-]{16}\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.exec(id)
  return match !== null && BigInt(match[1]!) < 2n ** 31n && BigInt(match[2]!) < 2n ** 53n
}

function sorted(dims: Record<string, string>): [string, string][] {
  return Object.entries(dims).sort(([a], [b]) => (a < b ? -1 : 1))
}

function add(sums: Map<string, bigint>, name: string, delta: number): void {
  sums.set(name, (sums.get(name) ?? 0n) + BigInt(delta))
}
