import { type CountEvent, type EventInput, inputOf } from '@countersink/shared/event'
import type { BulkCall } from './bulk-call.ts'
import type { BulkRecord } from './bulk-record.ts'
import type { FlushMark } from './flush-marks.ts'
import type { Place } from './pending.ts'

/** The events that one bulk call put into one record. */
export class BulkPart {
  readonly call: BulkCall
  readonly record: BulkRecord
  readonly partition: number
  readonly deadlineMs: number
  /** Its first event's place in the record. */
  readonly first: number
  /** By place, from `first` on: the place of the event in the call's list. */
  readonly places: number[] = []
  /** What it takes of the buffer. */
  events = 0
  bytes = 0
  place: Place = 'lane'
  /** The call has one for all of it. */
  mark: FlushMark | undefined = undefined
  recordNumber = 0
  /** Of the record, once it is known. */
  offset = -1

  constructor(call: BulkCall, record: BulkRecord, first: number) {
    this.call = call
    this.record = record
    this.partition = record.partition
    this.deadlineMs = call.deadlineMs
    this.first = first
  }

  accept(_topic: string, offset: number): void {
    this.offset = offset
    this.call.accepted(this)
  }

  reject(_ids: unknown, message: string, _cause: unknown, retryable: boolean): void {
    this.call.rejected(this, message, retryable)
  }

  inputs(): EventInput[] {
    return this.countEvents().map(inputOf)
  }

  /** Read back from the record, which is closed by it. */
  countEvents(): CountEvent[] {
    return this.record.events().slice(this.first, this.first + this.places.length)
  }
}
