import { inspect, type InspectOptions } from 'node:util'
import { formatPosition, type Position } from '@countersink/shared/position'

/** Where an event is in the log, once the broker has acknowledged it. */
export class Receipt {
  /** The event's id, and its time in epoch milliseconds: what a retry has to repeat. */
  readonly id: string
  readonly at: number
  readonly partition: number
  /** Of the record that carries it, alone or with others. */
  readonly offset: number
  /** Its place in a packed record; 0 in a record of its own. */
  readonly index: number
  readonly #topic: string

  constructor(
    id: string,
    at: number,
    topic: string,
    partition: number,
    offset: number,
    index: number,
  ) {
    this.id = id
    this.at = at
    this.partition = partition
    this.offset = offset
    this.index = index
    this.#topic = topic
  }

  /** A token to ask the query API with: `after=` it, the answer counts this event. */
  get position(): string {
    return formatPosition(this.positionFields())
  }

  /** The same as fields, for merging many (see mergePositions). */
  positionFields(): Position {
    return { topic: this.#topic, generation: 0, next: new Map([[this.partition, this.offset + 1]]) }
  }

  toJSON(): Record<string, unknown> {
    const { id, at, partition, offset, index, position } = this
    return { id, at, partition, offset, index, position }
  }

  /** For console.log, which would leave out what is made when it is asked for. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Receipt ${inspect(this.toJSON(), options)}`
  }
}
