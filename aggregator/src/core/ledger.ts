import { OutcomeWriter } from '@countersink/shared/outcomes'

/** How many of a commit's rejected events are kept for people to look at, and how much of each. */
export const REJECTS_PER_COMMIT_MAX = 100
export const REJECT_VALUE_BYTES_MAX = 4096

/**
 * An event that was not counted, with coordinates. `value` is its record's, of one inside a packed
 * record its JSON, cut off at a bound.
 */
export type Reject = {
  offset: number
  index: number
  outcome: 'conflict' | 'late' | 'invalid'
  reason: string | null
  value: Buffer | null
}

/** Where the events went since the last commit: read = applied + the other four, always. */
export class Ledger {
  applied = 0
  duplicate = 0
  conflict = 0
  late = 0
  invalid = 0
  misrouted = 0
  readonly outcomes = new OutcomeWriter()
  rejects: Reject[] = []

  get read(): number {
    return this.applied + this.duplicate + this.conflict + this.late + this.invalid
  }

  reset(first: number): void {
    this.applied = 0
    this.duplicate = 0
    this.conflict = 0
    this.late = 0
    this.invalid = 0
    this.misrouted = 0
    this.outcomes.reset(first)
    this.rejects = []
  }

  /** A sample of rejects is kept, the first ones of each commit: is there room for another one? */
  get hasRoom(): boolean {
    return this.rejects.length < REJECTS_PER_COMMIT_MAX
  }

  /** Keeps a copy of the value's beginning. */
  keep(
    outcome: Reject['outcome'],
    reason: string | null,
    offset: number,
    index: number,
    value: Uint8Array | null,
  ): void {
    if (!this.hasRoom) return
    const kept = value === null ? null : Buffer.from(value.subarray(0, REJECT_VALUE_BYTES_MAX))
    this.rejects.push({ offset, index, outcome, reason, value: kept })
  }
}
