import type { TailState } from './tail-state.ts'

/** A series' place: its slot in one partition. A series seen in several partitions has several. */
export type SlotRef = { partition: number; slot: number }

/** One slot's sum in one window of the kept size, as its page had it. */
export type PagedWindow = {
  partition: number
  slot: number
  start: number
  /** The page's `next`. */
  next: number
  delta: bigint
}

/** One delta that the log still holds but the tail does not. */
export type LoggedDelta = {
  partition: number
  slot: number
  first: number
  start: number
  delta: bigint
}

/** What one snapshot of the database said of some slots' windows in a range of time. */
export type WindowsRead = {
  floors: ReadonlyMap<number, number>
  pages: readonly PagedWindow[]
  /** Of the commits from the floor up to `tailBase`. */
  logged: readonly LoggedDelta[]
  /** partition -> where the tail's deltas began when the read was asked for. */
  tailBase: ReadonlyMap<number, number>
}

export type WindowRange = {
  /** A kept window size; the range is aligned to it. */
  size: number
  from: number
  to: number
}

export type WindowSums =
  | { kind: 'sums'; sums: Map<number, bigint> }
  | { kind: 'wait'; partition: number; next: number }
  | { kind: 'stale' }

/**
 * Sums by window start of a series, at the tail's position: what the pages have, and the deltas of
 * the commits from where each page is folded to. A window without a page is folded to the floor.
 * 'wait' when the read has seen more than the tail has; 'stale' when the tail has let go meanwhile
 * of what the read lacks: then it is read again.
 */
export function sumWindows(
  state: TailState,
  counter: number,
  slots: readonly SlotRef[],
  range: WindowRange,
  read: WindowsRead,
): WindowSums {
  const sums = new Map<number, bigint>()
  const add = (start: number, delta: bigint): void => {
    sums.set(start, (sums.get(start) ?? 0n) + delta)
  }
  for (const { partition, slot } of slots) {
    const floor = read.floors.get(partition)
    if (floor === undefined) return { kind: 'stale' }
    const inMemoryFrom = Math.max(floor, read.tailBase.get(partition) ?? 0)
    if (state.base(partition) > inMemoryFrom) return { kind: 'stale' }
    if (state.next(partition) < floor) return { kind: 'wait', partition, next: floor }

    const foldedTo = new Map<number, number>()
    for (const page of read.pages) {
      if (page.partition !== partition || page.slot !== slot) continue
      if (page.next > state.next(partition)) return { kind: 'wait', partition, next: page.next }
      foldedTo.set(page.start, Math.max(floor, page.next))
      add(page.start, page.delta)
    }
    const addDirt = (finestStart: number, first: number, delta: bigint): void => {
      if (finestStart < range.from || finestStart >= range.to) return
      const start = finestStart - (finestStart % range.size)
      if (first >= (foldedTo.get(start) ?? floor)) add(start, delta)
    }
    for (const entry of read.logged) {
      if (entry.partition !== partition || entry.slot !== slot) continue
      addDirt(entry.start, entry.first, entry.delta)
    }
    state.eachSince(partition, counter, slot, inMemoryFrom, addDirt)
  }
  return { kind: 'sums', sums }
}
