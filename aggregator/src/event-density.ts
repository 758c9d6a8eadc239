/** Older offsets than about this many count for less and less. */
const OFFSETS_REMEMBERED = 1000

/**
 * How many events an offset of a partition's log has held lately: 1 with JSON, thousands with packed
 * records. Kafka tells a lag in offsets; how much work it is, this tells.
 */
export class EventDensity {
  #offsets = 0
  #events = 0

  add(offsets: number, events: number): void {
    const before = Math.min(this.#offsets, OFFSETS_REMEMBERED)
    const share = this.#offsets === 0 ? 0 : before / this.#offsets
    this.#offsets = before + offsets
    this.#events = this.#events * share + events
  }

  /** At least 1, also where offsets hold nothing, as markers and aborted records do. */
  get eventsPerOffset(): number {
    return this.#offsets === 0 ? 1 : Math.max(1, this.#events / this.#offsets)
  }
}
