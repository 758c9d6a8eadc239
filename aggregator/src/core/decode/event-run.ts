import { LIMITS } from '@countersink/shared/event'
import type { Columns } from '../columns.ts'
import type { CounterStates } from '../series/counter-states.ts'
import { createFields, type Fields } from './fields.ts'
import { viewOf } from '../keyed-hash.ts'
import type { PartitionState } from '../partition-state.ts'
import { NO_SLOT } from '../series/series-dictionary.ts'

const RUN_EVENTS_MAX = 512
/** Of all events of a run together; the next one may have as many as an event can. */
const RUN_DIMS_MAX = RUN_EVENTS_MAX + LIMITS.dimsMax

/**
 * Neighbouring events of one section of records, each decoded to places in it, whose series are
 * looked up together: one by one, each look-up would wait for its own cache misses. Then they go
 * through the interner in their order, so what is dealt and refused is what it would be one by one.
 */
export class EventRun {
  count = 0
  #dims = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #view = viewOf(this.#bytes)
  readonly #fields = createFields()
  readonly #idStart = new Int32Array(RUN_EVENTS_MAX)
  readonly #idEnd = new Int32Array(RUN_EVENTS_MAX)
  readonly #counterStart = new Int32Array(RUN_EVENTS_MAX)
  readonly #counterEnd = new Int32Array(RUN_EVENTS_MAX)
  readonly #keyStart = new Int32Array(RUN_EVENTS_MAX)
  readonly #keyEnd = new Int32Array(RUN_EVENTS_MAX)
  readonly #at = new Float64Array(RUN_EVENTS_MAX)
  readonly #delta = new Float64Array(RUN_EVENTS_MAX)
  readonly #dimsEnd = new Int32Array(RUN_EVENTS_MAX)
  readonly #dimPlaces = new Int32Array(4 * RUN_DIMS_MAX)
  /** The largest append time of the log up to the event's record. */
  readonly #appendMax = new Float64Array(RUN_EVENTS_MAX)
  readonly #ordinal = new Int32Array(RUN_EVENTS_MAX)
  readonly #slot = new Int32Array(RUN_EVENTS_MAX)

  /** Begins a run; whatever was left of one whose events could not be appended is gone. */
  clear(): void {
    this.count = 0
    this.#dims = 0
  }

  /** True when `close` has to come before the next `add`. */
  get isFull(): boolean {
    return this.count === RUN_EVENTS_MAX || this.#dims + LIMITS.dimsMax > RUN_DIMS_MAX
  }

  /** Adds an event, whose fields lie in the same bytes as those of the others of the run. */
  add(fields: Fields, appendMax: number): void {
    if (this.#bytes !== fields.bytes) {
      this.#bytes = fields.bytes
      this.#view = viewOf(fields.bytes)
    }
    const i = this.count++
    this.#idStart[i] = fields.idStart
    this.#idEnd[i] = fields.idEnd
    this.#counterStart[i] = fields.counterStart
    this.#counterEnd[i] = fields.counterEnd
    this.#keyStart[i] = fields.keyStart
    this.#keyEnd[i] = fields.keyEnd
    this.#at[i] = fields.at
    this.#delta[i] = fields.delta
    this.#appendMax[i] = appendMax
    const { dims, dimCount } = fields
    const from = 4 * this.#dims
    for (let k = 0; k < 4 * dimCount; k++) this.#dimPlaces[from + k] = dims[k]!
    this.#dims += dimCount
    this.#dimsEnd[i] = this.#dims
  }

  /** Appends the run's events to the columns, and begins the next run. */
  close({ counters, interner }: PartitionState, columns: Columns): void {
    this.#findSeries(counters)
    for (let i = 0; i < this.count; i++) {
      const fields = this.#fieldsOf(i)
      // What was not there may have been dealt by an event before.
      interner.append(fields, this.#appendMax[i]!, columns, this.#ordinal[i]!, this.#slot[i]!)
    }
    this.clear()
  }

  #findSeries(counters: CounterStates): void {
    const [bytes, view] = [this.#bytes, this.#view]
    const { count } = this
    const ordinals = this.#ordinal
    for (let i = 0; i < count; i++) {
      ordinals[i] = counters.find(bytes, view, this.#counterStart[i]!, this.#counterEnd[i]!)
    }
    this.#slot.fill(NO_SLOT, 0, count)
    for (let from = 0, to = 0; from < count; from = to) {
      const ordinal = ordinals[from]!
      for (to = from + 1; to < count && ordinals[to] === ordinal; to++);
      if (ordinal < 0) continue
      const { dictionary } = counters.list[ordinal]!
      dictionary.findMany(bytes, view, this.#keyStart, this.#keyEnd, from, to, this.#slot)
    }
  }

  #fieldsOf(i: number): Fields {
    const fields = this.#fields
    fields.bytes = this.#bytes
    fields.idStart = this.#idStart[i]!
    fields.idEnd = this.#idEnd[i]!
    fields.counterStart = this.#counterStart[i]!
    fields.counterEnd = this.#counterEnd[i]!
    fields.keyStart = this.#keyStart[i]!
    fields.keyEnd = this.#keyEnd[i]!
    fields.at = this.#at[i]!
    fields.delta = this.#delta[i]!
    const from = i === 0 ? 0 : this.#dimsEnd[i - 1]!
    const dimCount = this.#dimsEnd[i]! - from
    for (let k = 0; k < 4 * dimCount; k++) fields.dims[k] = this.#dimPlaces[4 * from + k]!
    fields.dimCount = dimCount
    return fields
  }
}
