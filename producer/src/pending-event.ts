import { type CountEvent, type EventInput, inputOf } from '@countersink/shared/event'
import { NotDeliveredError } from './add-errors.ts'
import type { EventIntake } from './event-intake.ts'
import type { FlushMark } from './flush-marks.ts'
import type { Place } from './pending.ts'
import { Receipt } from './receipt.ts'
import type { IdLane, SessionIds } from './session-ids.ts'

/** Beside its texts: the record's own fields and our bookkeeping. */
const EVENT_OVERHEAD_BYTES = 64
/** The lengths of a dim's name and value. */
const DIM_OVERHEAD_BYTES = 4

/** What an event takes of the buffer and, at most, of a record: batches are cut by it. */
export function bytesOf({ keyBytes, id, dims }: Pick<EventIntake, 'keyBytes' | 'id' | 'dims'>) {
  let bytes = EVENT_OVERHEAD_BYTES + keyBytes + Buffer.byteLength(id ?? '')
  if (dims === undefined) return bytes
  for (const [name, value] of dims) {
    bytes += DIM_OVERHEAD_BYTES + Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  return bytes
}

/** One event between add() and its receipt; of several calls when they were combined. */
export class PendingEvent {
  readonly lane: IdLane
  readonly key: string
  readonly dims: ReadonlyMap<string, string> | undefined
  /** Undefined until it leaves or comes back, when it is to be made. */
  id: string | undefined
  at: number
  delta: number
  readonly partition: number
  readonly events = 1
  /** What it takes of the buffer. */
  readonly bytes: number
  /** On the monotonic clock. */
  readonly deadlineMs: number
  /** No bulk call's record carries it. */
  readonly record = undefined
  /** The flush that waits for it; set when it is added. */
  mark: FlushMark | undefined = undefined
  place: Place = 'waiting'
  /** In its batch: the number of its record, and its place there. */
  recordNumber = 0
  index = 0
  /** Other calls may be combined with it. */
  canBeJoined = false
  readonly promise: Promise<Receipt>
  readonly #resolve: (receipt: Receipt) => void
  readonly #reject: (error: Error) => void

  constructor(intake: EventIntake, bytes: number, deadlineMs: number) {
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>()
    this.lane = intake.lane
    this.key = intake.key
    this.dims = intake.dims
    this.id = intake.id
    this.at = intake.at
    this.delta = intake.delta
    this.partition = intake.lane.partition
    this.bytes = bytes
    this.deadlineMs = deadlineMs
    this.promise = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  accept(topic: string, offset: number): void {
    const { id, at, partition, index } = this
    this.#resolve(new Receipt(id ?? '', at, topic, partition, offset, index))
  }

  reject(ids: SessionIds, message: string, cause: unknown, retryable: boolean): void {
    this.id ??= ids.next(this.lane)
    this.#reject(new NotDeliveredError(inputOf(this.event()), message, cause, retryable))
  }

  /** As it is sent; its id must have been made. */
  event(): CountEvent {
    const { id, key, delta, at, dims, lane } = this
    const event: CountEvent = { id: id ?? '', counter: lane.counter.name, key, delta, at }
    if (dims !== undefined) event.dims = dims
    return event
  }

  inputs(): EventInput[] {
    return [inputOf(this.event())]
  }
}
