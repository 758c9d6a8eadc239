import { inspect, type InspectOptions } from 'node:util'
import type { EventInput } from '@countersink/shared/event'
import { formatPosition, type Position } from '@countersink/shared/position'
import type { InvalidReason } from '@countersink/shared/reasons'
import type { BulkPart } from './bulk-part.ts'
import { Receipt } from './receipt.ts'

/** Nobody can count the event at this place of the list; it was not sent. */
export type InvalidPlace = { readonly index: number; readonly reason: InvalidReason }

/**
 * Nobody has confirmed the event at this place: it may or may not be in the log. `event` has its id
 * and `at`, so that adding it again can never count it twice.
 */
export type UndeliveredPlace = {
  readonly index: number
  readonly event: EventInput
  readonly message: string
  readonly retryable: boolean
}

/** What became of the events of one addMany(), each known by its place in the list. */
export class BulkReceipt {
  /** How many are in the log. */
  readonly delivered: number
  /** Ascending. */
  readonly invalid: readonly InvalidPlace[]
  /** Ascending. */
  readonly undelivered: readonly UndeliveredPlace[]
  readonly #topic: string
  readonly #next: ReadonlyMap<number, number>
  readonly #parts: readonly BulkPart[]
  readonly #singles: ReadonlyMap<number, Receipt>
  #partOfPlace: Map<number, { part: BulkPart; i: number }> | undefined

  constructor(fields: {
    topic: string
    delivered: number
    invalid: readonly InvalidPlace[]
    undelivered: readonly UndeliveredPlace[]
    next: ReadonlyMap<number, number>
    parts: readonly BulkPart[]
    singles: ReadonlyMap<number, Receipt>
  }) {
    this.delivered = fields.delivered
    this.invalid = fields.invalid
    this.undelivered = fields.undelivered
    this.#topic = fields.topic
    this.#next = fields.next
    this.#parts = fields.parts
    this.#singles = fields.singles
  }

  /** A token to ask the query API with: `after=` it, the answer counts all that was delivered. */
  get position(): string {
    return formatPosition(this.positionFields())
  }

  positionFields(): Position {
    return { topic: this.#topic, generation: 0, next: this.#next }
  }

  toJSON(): Record<string, unknown> {
    const { delivered, invalid, undelivered, position } = this
    return { delivered, invalid, undelivered, position }
  }

  /** For console.log, which would leave out what is made when it is asked for. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `BulkReceipt ${inspect(this.toJSON(), options)}`
  }

  /**
   * Where one event is; undefined when it was not delivered. Made when it is asked for, from the
   * records as they were sent: a bulk load need not pay for what it does not look at.
   */
  receipt(index: number): Receipt | undefined {
    const single = this.#singles.get(index)
    if (single !== undefined) return single
    const found = this.#byPlace().get(index)
    if (found === undefined) return undefined
    const { part, i } = found
    const place = part.first + i
    const event = part.record.events()[place]
    if (event === undefined) return undefined
    return new Receipt(event.id, event.at, this.#topic, part.partition, part.offset, place)
  }

  #byPlace(): ReadonlyMap<number, { part: BulkPart; i: number }> {
    if (this.#partOfPlace === undefined) {
      this.#partOfPlace = new Map()
      for (const part of this.#parts) {
        part.places.forEach((place, i) => this.#partOfPlace?.set(place, { part, i }))
      }
    }
    return this.#partOfPlace
  }
}
