import { type EventInput, inputOf } from '@countersink/shared/event'
import type { BulkPart } from './bulk-part.ts'
import { BulkReceipt, type InvalidPlace, type UndeliveredPlace } from './bulk-receipt.ts'
import { EVENTS_PER_LOOK } from './bulk-record.ts'
import { type EventIntake, NOT_ROUTED } from './event-intake.ts'
import type { FlushMark } from './flush-marks.ts'
import type { Place } from './pending.ts'
import type { PendingEvent } from './pending-event.ts'
import type { Receipt } from './receipt.ts'
import type { IdLane, SessionIds } from './session-ids.ts'
import { NotDeliveredError } from './add-errors.ts'

/** What a bulk call needs of the producer around it. */
export type BulkPort = {
  readonly topic: string
  readonly intake: EventIntake
  readonly ids: SessionIds
  readonly now: () => number
  /** How many more events the buffer has room for now. */
  readonly spareEvents: () => number
  /** Asks for another `fill` in a later turn. */
  readonly again: () => void
  /** The part that the call writes its next events of that partition to; with room for some. */
  readonly partOf: (call: BulkCall, partition: number) => BulkPart
  /** The part has grown by so much. */
  readonly grown: (part: BulkPart, bytes: number, events: number) => void
  /** What was written may leave; at once when the call does not wait for company. */
  readonly written: (partition: number, atOnce: boolean) => void
  /**
   * Sends what the intake has read as an event of its own (or with others', combined); undefined
   * when events are packed directly.
   */
  readonly addSingle: (() => PendingEvent) | undefined
  readonly onAdded: (events: number) => void
  readonly onInvalid: () => void
  readonly onSettled: (call: BulkCall) => void
}

/** What one turn of the event loop takes over at most, so that acknowledgements come in between. */
const EVENTS_PER_TURN = 4096
/** A longer list does not wait for others to share its records. */
const COMPANY_EVENTS_MAX = 512

/** The events of a turn, in columns; the calls of a process take turns. */
const turn = {
  places: new Int32Array(EVENTS_PER_TURN),
  links: new Int32Array(EVENTS_PER_TURN),
  ats: new Float64Array(EVENTS_PER_TURN),
  deltas: new Float64Array(EVENTS_PER_TURN),
  keys: Array.from({ length: EVENTS_PER_TURN }, () => ''),
  ids: Array.from<string | undefined>({ length: EVENTS_PER_TURN }),
  dims: Array.from<ReadonlyMap<string, string> | undefined>({ length: EVENTS_PER_TURN }),
  lanes: [] as IdLane[],
}

/** One addMany(): its list, how far it is taken over, and what became of it. */
export class BulkCall {
  readonly deadlineMs: number
  readonly promise: Promise<BulkReceipt>
  /** It takes room by its parts. */
  readonly bytes = 0
  readonly events = 0
  readonly fill = (): boolean => this.#fill()
  place: Place = 'waiting'
  mark: FlushMark | undefined = undefined
  readonly parts: BulkPart[] = []
  /** Sent as events of their own, and nobody else's: what can be given up. */
  readonly ownEvents = new Set<PendingEvent>()
  readonly #list: readonly EventInput[]
  readonly #port: BulkPort
  readonly #resolve: (receipt: BulkReceipt) => void
  /** The first that is not taken over yet. */
  #next = 0
  /** Taken over and not settled. */
  #open = 0
  #delivered = 0
  /** Its next event must wait until it is known where it goes; then everybody is let in again. */
  #isHeld = false
  readonly #invalid: InvalidPlace[] = []
  readonly #undelivered: UndeliveredPlace[] = []
  readonly #offsets = new Map<number, number>()
  readonly #singles = new Map<number, Receipt>()

  constructor(list: readonly EventInput[], port: BulkPort, deadlineMs: number) {
    const { promise, resolve } = Promise.withResolvers<BulkReceipt>()
    this.#list = list
    this.#port = port
    this.#resolve = resolve
    this.promise = promise
    this.deadlineMs = deadlineMs
  }

  #fill(): boolean {
    this.#isHeld = false
    if (this.#port.addSingle === undefined) this.#fillRecords()
    else this.#fillSingles(this.#port.addSingle)
    if (this.#next >= this.#list.length) {
      this.place = 'lane'
      this.#settleIfDone()
      return true
    }
    if (this.#port.spareEvents() > 0 && !this.#isHeld) this.#port.again()
    return false
  }

  #fillRecords(): void {
    const count = this.#readTurn()
    const atOnce = this.#next < this.#list.length || this.#list.length > COMPANY_EVENTS_MAX
    this.#open += count
    this.#port.onAdded(count)
    for (const lane of turn.lanes) {
      this.#write(lane)
      this.#port.written(lane.partition, atOnce)
    }
    turn.lanes.length = 0
  }

  /** Reads events into the turn's columns, those of one lane linked to each other. */
  #readTurn(): number {
    const { intake, now } = this.#port
    const nowMs = now()
    const most = Math.min(EVENTS_PER_TURN, this.#port.spareEvents())
    const end = Math.min(this.#list.length, this.#next + EVENTS_PER_TURN)
    let count = 0
    for (; count < most && this.#next < end; this.#next++) {
      if (!this.#read(this.#list[this.#next]!, nowMs)) continue
      if (this.#isHeld) break
      const { lane } = intake
      turn.places[count] = this.#next
      turn.keys[count] = intake.key
      turn.ids[count] = intake.id
      turn.dims[count] = intake.dims
      turn.ats[count] = intake.at
      turn.deltas[count] = intake.delta
      turn.links[count] = -1
      if (lane.tail < 0) {
        turn.lanes.push(lane)
        lane.head = count
      } else {
        turn.links[lane.tail] = count
      }
      lane.tail = count++
    }
    return count
  }

  #read(input: EventInput, nowMs: number): boolean {
    const reason = this.#port.intake.read(input, nowMs)
    if (reason === undefined) return true
    if (reason === NOT_ROUTED) return (this.#isHeld = true)
    this.#port.onInvalid()
    this.#invalid.push({ index: this.#next, reason })
    return false
  }

  #write(lane: IdLane): void {
    const { partition, number } = lane
    const { name } = lane.counter
    const { ids } = this.#port
    const { session } = ids
    let part = this.#port.partOf(this, partition)
    let writer = part.record.writer!
    let bytes = writer.byteLength
    let count = 0
    for (let i = lane.head; i >= 0; i = turn.links[i]!) {
      if (count === EVENTS_PER_LOOK) {
        this.#port.grown(part, writer.byteLength - bytes, count)
        part = this.#port.partOf(this, partition)
        writer = part.record.writer!
        bytes = writer.byteLength
        count = 0
      }
      const id = turn.ids[i]
      const key = turn.keys[i]!
      const at = turn.ats[i]!
      const delta = turn.deltas[i]!
      if (id === undefined && number >= 0) {
        const sequence = lane.nextSequence++
        writer.addMade(session, number, sequence, name, key, turn.dims[i], at, delta)
      } else {
        writer.addRaw(id ?? ids.unnumbered(), name, key, turn.dims[i], at, delta)
      }
      part.places.push(turn.places[i]!)
      count++
    }
    this.#port.grown(part, writer.byteLength - bytes, count)
    lane.head = -1
    lane.tail = -1
  }

  #fillSingles(addSingle: () => PendingEvent): void {
    const { now, spareEvents } = this.#port
    const nowMs = now()
    const end = Math.min(this.#list.length, this.#next + EVENTS_PER_TURN)
    for (; this.#next < end && spareEvents() > 0; this.#next++) {
      if (!this.#read(this.#list[this.#next]!, nowMs)) continue
      if (this.#isHeld) break
      const index = this.#next
      const pending = addSingle()
      this.#open++
      if (!pending.canBeJoined) this.ownEvents.add(pending)
      pending.promise.then(
        (receipt) => this.#acceptedSingle(index, pending, receipt),
        (error: unknown) => this.#rejectedSingle(index, pending, error),
      )
    }
  }

  #acceptedSingle(index: number, pending: PendingEvent, receipt: Receipt): void {
    this.ownEvents.delete(pending)
    this.#singles.set(index, receipt)
    this.#advance(receipt.partition, receipt.offset, 1)
  }

  #rejectedSingle(index: number, pending: PendingEvent, error: unknown): void {
    this.ownEvents.delete(pending)
    if (!(error instanceof NotDeliveredError)) throw error
    const { event, message, retryable } = error
    this.#undelivered.push({ index, event, message, retryable })
    this.#settled(1)
  }

  accepted(part: BulkPart): void {
    this.#advance(part.partition, part.offset, part.places.length)
  }

  rejected(part: BulkPart, message: string, retryable: boolean): void {
    part.inputs().forEach((event, i) => {
      this.#undelivered.push({ index: part.places[i]!, event, message, retryable })
    })
    this.#settled(part.places.length)
  }

  /** Gives up what is not taken over yet, and returns those of its events that are valid. */
  giveUpRest(message: string): EventInput[] {
    const { intake, ids, now } = this.#port
    const given: EventInput[] = []
    const nowMs = now()
    for (; this.#next < this.#list.length; this.#next++) {
      if (!this.#read(this.#list[this.#next]!, nowMs)) continue
      const { lane, key, delta, at, dims } = intake
      const counter = lane.counter.name
      const id = intake.id ?? ids.next(lane)
      const event = inputOf({ id, counter, key, delta, at, ...(dims !== undefined && { dims }) })
      given.push(event)
      this.#undelivered.push({ index: this.#next, event, message, retryable: true })
    }
    this.#port.onAdded(given.length)
    this.place = 'lane'
    this.#settleIfDone()
    return given
  }

  #advance(partition: number, offset: number, events: number): void {
    this.#delivered += events
    this.#offsets.set(partition, Math.max(this.#offsets.get(partition) ?? 0, offset + 1))
    this.#settled(events)
  }

  #settled(events: number): void {
    this.#open -= events
    this.#settleIfDone()
  }

  #settleIfDone(): void {
    if (this.#open > 0 || this.#next < this.#list.length || this.place === 'settled') return
    this.place = 'settled'
    this.#port.onSettled(this)
    this.#resolve(
      new BulkReceipt({
        topic: this.#port.topic,
        delivered: this.#delivered,
        invalid: this.#invalid,
        undelivered: this.#undelivered.toSorted((a, b) => a.index - b.index),
        next: this.#offsets,
        parts: this.parts.filter((part) => part.offset >= 0),
        singles: this.#singles,
      }),
    )
  }
}
