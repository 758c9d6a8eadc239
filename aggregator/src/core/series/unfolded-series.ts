import type { Columns } from '../columns.ts'
import type { CounterState } from './counter-states.ts'

type Dealt = { ordinal: number; slot: number; offset: number }

/**
 * Series that were dealt slots for events which are read and not folded yet. A commit must not have
 * them: after a crash the log may be followed by another decision, and a counter without a clock has
 * no ordinal. When the events are read again they find their slots.
 */
export class UnfoldedSeries {
  /** In the order of slots and offsets. */
  #dealt: Dealt[] = []
  /** By ordinal how many series are known to be folded or among the dealt ones. */
  #known: number[] = []

  /** Called before events are read of which not all may be folded; those before `next` are. */
  begin(counters: readonly CounterState[], next: number): void {
    this.#dealt = this.#dealt.filter(({ offset }) => offset >= next)
    this.#known = counters.map(({ dictionary }) => dictionary.size)
  }

  /** The events of these rows were read: slots are dealt in their order, to valid ones. */
  note({ count, reason, counter, slot, offset, breakdownEnd, breakdownSlots }: Columns): void {
    let breakdown = 0
    for (let row = 0; row < count; row++) {
      const end = breakdownEnd[row]!
      let greatest = slot[row]!
      for (; breakdown < end; breakdown++) {
        greatest = Math.max(greatest, breakdownSlots[breakdown]!)
      }
      if (reason[row] !== 0) continue
      const ordinal = counter[row]!
      const known = this.#known[ordinal] ?? 0
      if (greatest < known) continue
      this.#dealt.push({ ordinal, slot: known, offset: offset[row]! })
      this.#known[ordinal] = greatest + 1
    }
  }

  /** How many of a counter's series are of events before `next`, all of which are folded. */
  foldedSize(ordinal: number, { dictionary }: CounterState, next: number): number {
    for (const { ordinal: one, slot, offset } of this.#dealt) {
      if (one === ordinal && offset >= next) return slot
    }
    return dictionary.size
  }
}
