import { OffsetRanges } from './offset-ranges.ts'

/**
 * The events of one publisher in one partition: which offsets are its own, and of packed records
 * how many events they hold beyond the first. All events of such a record are the publisher's.
 */
export class OwnEvents {
  readonly offsets = new OffsetRanges()
  readonly #further = new Map<number, number>()

  /** What it takes to remember them: ranges of offsets, and packed records. */
  get held(): number {
    return this.offsets.ranges + this.#further.size
  }

  /** Called once an event. */
  add(offset: number): void {
    if (this.offsets.add(offset)) return
    this.#further.set(offset, (this.#further.get(offset) ?? 0) + 1)
  }

  /** Takes out all events with offsets in `[from, to)` and says how many they were. */
  take(from: number, to: number): number {
    let taken = this.offsets.take(from, to)
    for (const [offset, count] of this.#further) {
      if (offset < from || offset >= to) continue
      taken += count
      this.#further.delete(offset)
    }
    return taken
  }
}
