import type { WrittenEvent } from './log-writer.ts'
import { Oracle, type OracleContract, type OracleEvent } from './oracle/oracle.ts'

type Applied = { partition: number; offset: number; event: OracleEvent }
export type Offsets = ReadonlyMap<number, number>

/** The oracle's sums as they were at any position: partition -> first offset that is not counted. */
export class PositionOracle {
  readonly #contract: OracleContract
  readonly #oracles = new Map<number, Oracle>()
  readonly #ends = new Map<number, number>()
  readonly #byKey = new Map<string, Applied[]>()

  constructor(contract: OracleContract) {
    this.#contract = contract
  }

  add(written: readonly WrittenEvent[]): void {
    for (const { event, partition, offset, appendTimeMs } of written.toSorted(
      (a, b) => a.offset - b.offset,
    )) {
      let oracle = this.#oracles.get(partition)
      if (oracle === undefined) {
        this.#oracles.set(partition, (oracle = new Oracle(this.#contract)))
      }
      this.#ends.set(partition, offset + 1)
      if (oracle.apply(event, appendTimeMs) !== 'applied') continue
      const applied = this.#byKey.get(event.key) ?? []
      this.#byKey.set(event.key, applied)
      applied.push({ partition, offset, event })
    }
  }

  get written(): number {
    return [...this.#ends.values()].reduce((sum, end) => sum + end, 0)
  }

  /** False while the position is ahead of what the oracle has been told. */
  reaches(position: Offsets): boolean {
    return [...position].every(([partition, next]) => next <= (this.#ends.get(partition) ?? 0))
  }

  keys(): string[] {
    return [...this.#byKey.keys()]
  }

  /** Of those keys that have something at the position. */
  totalsAt(position: Offsets, keys: readonly string[]): Record<string, string> {
    const totals: Record<string, string> = {}
    for (const key of keys) {
      const events = this.#before(key, position)
      if (events.length > 0) totals[key] = String(sum(events))
    }
    return totals
  }

  totalAt(key: string, position: Offsets): string {
    return String(sum(this.#before(key, position)))
  }

  /** Start of the window -> sum, those without events left out. */
  windowsAt(key: string, sizeMs: number, position: Offsets): Record<string, string> {
    const windows = Map.groupBy(this.#before(key, position), ({ at }) => at - (at % sizeMs))
    return Object.fromEntries(
      [...windows].map(([start, events]) => [String(start), String(sum(events))]),
    )
  }

  #before(key: string, position: Offsets): OracleEvent[] {
    return (this.#byKey.get(key) ?? [])
      .filter(({ partition, offset }) => offset < (position.get(partition) ?? 0))
      .map(({ event }) => event)
  }
}

function sum(events: readonly OracleEvent[]): bigint {
  return events.reduce((total, { delta }) => total + BigInt(delta), 0n)
}
