import { LRUCache } from 'lru-cache'
import type { SlotRef } from './window-sums.ts'

/** One series by the number of its counter. `dims` is JSON as canonicalDims writes it. */
export type SeriesKey = { counter: number; key: string; dims: string }

export type SeriesLookup = {
  readonly series: SeriesKey
  /** Grows when the series appears in a further partition. */
  readonly slots: SlotRef[]
  /** Complete, as long as it is attended. */
  found: boolean
  /** While true, slots that are dealt to the series are added to it. */
  attended: boolean
}

const LOOKUP_BYTES = 250
const SLOT_BYTES = 60

/**
 * Where series are. A slot once dealt stays, but a series may get slots in further partitions: the
 * tail says so before it shows their first deltas, to look-ups under way as well. So a look-up made
 * once is complete at every later position of the tail, and none is made twice.
 */
export class SeriesLookups {
  readonly #lookups: LRUCache<string, SeriesLookup>

  constructor(bytesMax: number) {
    this.#lookups = new LRUCache<string, SeriesLookup>({
      maxSize: bytesMax,
      sizeCalculation: ({ slots }, name) =>
        LOOKUP_BYTES + 2 * name.length + slots.length * SLOT_BYTES,
      dispose: (lookup) => {
        lookup.attended = false
      },
    })
  }

  get size(): number {
    return this.#lookups.size
  }

  /** The look-up of a series; when it is not `found` yet, read its slots from now on and add them. */
  begin(series: SeriesKey): SeriesLookup {
    const name = nameOf(series)
    const known = this.#lookups.get(name)
    if (known !== undefined) return known
    const lookup: SeriesLookup = { series, slots: [], found: false, attended: true }
    this.#lookups.set(name, lookup)
    return lookup
  }

  /** The slots that a read begun after begin() has found. */
  complete(lookup: SeriesLookup, slots: readonly SlotRef[]): void {
    for (const slot of slots) addSlot(lookup, slot)
    lookup.found = true
    // Again, for its size to be counted.
    if (lookup.attended) this.#lookups.set(nameOf(lookup.series), lookup)
  }

  /** A slot that was dealt to a series lately; may be told more than once. */
  dealt(series: SeriesKey, slot: SlotRef): void {
    const lookup = this.#lookups.peek(nameOf(series))
    if (lookup !== undefined) addSlot(lookup, slot)
  }

  /** Nobody can say any more which slots were dealt. */
  forget(): void {
    this.#lookups.clear()
  }
}

function addSlot({ slots }: SeriesLookup, { partition, slot }: SlotRef): void {
  const known = slots.some((other) => other.partition === partition && other.slot === slot)
  if (!known) slots.push({ partition, slot })
}

/** A name has no U+0000 in it. */
function nameOf({ counter, key, dims }: SeriesKey): string {
  return `${counter}\u0000${dims}\u0000${key}`
}

/** JSON of dims in one form for equal dims. A dim may be called __proto__: fromEntries defines it. */
export function canonicalDims(dims: Iterable<readonly [string, string]>): string {
  const sorted = [...dims].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(sorted))
}
