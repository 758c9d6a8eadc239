import { DirtRing } from './dirt-ring.ts'

/** One counter's deltas in one finest window, as one commit added them. */
export type DeltaRow = {
  counter: number
  /** Start of the window, epoch milliseconds. */
  start: number
  slots: Int32Array
  deltas: BigInt64Array
  carries: BigInt64Array | undefined
}

/** One link of a partition's chain of commits. */
export type PolledCommit = {
  first: number
  next: number
  /** Pairs (counter, clock) of the clocks that moved. */
  clocks: readonly number[]
  /** Undefined when they were left out: the commit was large and its pages have them already. */
  rows: readonly DeltaRow[] | undefined
}

/** What one poll says of one partition. `commits` go on where the last poll ended, in order. */
export type PolledPartition = {
  partition: number
  next: number
  floor: number
  /** Append time of the youngest record counted, epoch milliseconds; 0 when unknown. */
  appendMax: number
  commits: readonly PolledCommit[]
  /** Holes in the chain that an operator has accepted; also some that are no holes any more. */
  gaps: readonly (readonly [from: number, to: number])[]
}

/** What a partition starts from: nothing before `floor` is wanted. */
export type LoadedPartition = {
  partition: number
  next: number
  floor: number
  appendMax: number
  /** Pairs (counter, clock). */
  clocks: readonly number[]
  /** Pairs (counter, greatest slot dealt). */
  slots: readonly number[]
}

export type ReloadReason = 'went-back' | 'gap' | 'partition-added' | 'fell-behind'

export type Applied =
  | { kind: 'applied'; moved: boolean; behind: boolean }
  | { kind: 'reload'; reason: ReloadReason; partition: number }

/** What keeps sums of its own is shown each delta before the tail forgets it. */
export type Absorb = (
  partition: number,
  counter: number,
  slot: number,
  first: number,
  delta: () => bigint,
) => void

/** Slots in (above, upTo] of a counter in a partition. */
export type NewSlots = { partition: number; counter: number; above: number; upTo: number }

export type TailLimits = {
  /** Over all partitions. Beyond it the fullest partition's deltas are given up. */
  entriesMax: number
  /** Deltas below the floor are let go when there are at least so many of them. */
  pruneEntriesMin: number
}

type Partition = {
  /** All deltas of [base, next) are in the ring. */
  base: number
  next: number
  floor: number
  appendMax: number
  /** Counts how often deltas were left out: cached sums of before are then of no use. */
  epoch: number
  ring: DirtRing
  clocks: Map<number, number>
  slotMax: Map<number, number>
}

/**
 * The end of the commit log, as far as polls have brought it: positions, clocks and the deltas that
 * pages may not have yet. A pure state machine: polls go in, sums come out, and any doubt about the
 * chain of commits asks for a fresh one instead of going on.
 */
export class TailState {
  readonly generation: number
  readonly #partitions = new Map<number, Partition>()
  readonly #limits: TailLimits
  readonly #absorb: Absorb
  #seriesMissed = 0

  constructor(
    generation: number,
    loaded: readonly LoadedPartition[],
    limits: TailLimits,
    absorb: Absorb,
  ) {
    this.generation = generation
    this.#limits = limits
    this.#absorb = absorb
    for (const { partition, floor, appendMax, clocks, slots } of loaded) {
      this.#partitions.set(partition, {
        base: floor,
        next: floor,
        floor,
        appendMax,
        epoch: 0,
        ring: new DirtRing(),
        clocks: pairs(clocks),
        slotMax: pairs(slots),
      })
    }
  }

  /** Takes in a poll. After `reload` this state is of no use any more. */
  apply(polled: readonly PolledPartition[]): Applied {
    let moved = false
    let behind = false
    let seen = 0
    for (const poll of polled) {
      const { partition } = poll
      const state = this.#partitions.get(partition)
      if (state === undefined) return { kind: 'reload', reason: 'partition-added', partition }
      seen++
      if (poll.next < state.next || poll.floor < state.floor) {
        return { kind: 'reload', reason: 'went-back', partition }
      }
      const before = state.next
      if (!this.#follow(state, poll)) return { kind: 'reload', reason: 'gap', partition }
      if (state.next < poll.next) {
        // The floor has passed us: what we would read next nobody needs any more.
        if (poll.floor > state.next) return { kind: 'reload', reason: 'fell-behind', partition }
        if (state.next === before) return { kind: 'reload', reason: 'gap', partition }
        behind = true
      } else {
        state.appendMax = poll.appendMax
      }
      moved ||= state.next !== before
      this.#letGo(partition, state, poll.floor)
    }
    if (seen < this.#partitions.size) return { kind: 'reload', reason: 'went-back', partition: -1 }
    this.#stayBounded()
    return { kind: 'applied', moved, behind }
  }

  get partitions(): Iterable<number> {
    return this.#partitions.keys()
  }

  get entries(): number {
    let entries = 0
    for (const { ring } of this.#partitions.values()) entries += ring.size
    return entries
  }

  get bytes(): number {
    let bytes = 0
    for (const { ring } of this.#partitions.values()) bytes += ring.bytes
    return bytes
  }

  has(partition: number): boolean {
    return this.#partitions.has(partition)
  }

  /** Everything before it is counted here; 0 for a partition that nobody has counted yet. */
  next(partition: number): number {
    return this.#partitions.get(partition)?.next ?? 0
  }

  /** The deltas from here on are in memory. */
  base(partition: number): number {
    return this.#partitions.get(partition)?.base ?? 0
  }

  appendMax(partition: number): number {
    return this.#partitions.get(partition)?.appendMax ?? 0
  }

  /** A cached sum of another epoch than the partition's has missed deltas. */
  epoch(partition: number): number {
    return this.#partitions.get(partition)?.epoch ?? 0
  }

  positions(): Map<number, number> {
    return new Map([...this.#partitions].map(([partition, state]) => [partition, state.next]))
  }

  /** The partitions' clock for a counter; undefined where it was never seen. */
  clock(partition: number, counter: number): number | undefined {
    return this.#partitions.get(partition)?.clocks.get(counter)
  }

  /**
   * Where a poll has deltas of slots above all that were seen: there series may have been dealt
   * since look-ups were made. Slots are dealt in order, so that the new ones are all above `above`.
   */
  newSlots(polled: readonly PolledPartition[]): NewSlots[] {
    const greatest = new Map<string, NewSlots>()
    for (const { partition, commits } of polled) {
      const slotMax = this.#partitions.get(partition)?.slotMax
      for (const { counter, slots } of commits.flatMap(({ rows }) => rows ?? [])) {
        const above = slotMax?.get(counter) ?? -1
        const max = slots.reduce((a, b) => Math.max(a, b), -1)
        if (max <= above) continue
        const key = `${partition}/${counter}`
        const upTo = Math.max(max, greatest.get(key)?.upTo ?? -1)
        greatest.set(key, { partition, counter, above, upTo })
      }
    }
    return [...greatest.values()]
  }

  /** Counts how often deltas were left out, and with them the news of series. */
  get seriesMissed(): number {
    return this.#seriesMissed
  }

  sumSince(partition: number, counter: number, slot: number, from: number): bigint {
    return this.#partitions.get(partition)?.ring.sumSince(counter, slot, from) ?? 0n
  }

  eachSince(
    partition: number,
    counter: number,
    slot: number,
    from: number,
    visit: (start: number, first: number, delta: bigint) => void,
  ): void {
    this.#partitions.get(partition)?.ring.eachSince(counter, slot, from, visit)
  }

  /** Appends the commits of a poll; false when they do not go on where the chain ended. */
  #follow(state: Partition, poll: PolledPartition): boolean {
    for (const commit of poll.commits) {
      if (!reaches(state.next, commit.first, poll.gaps)) return false
      if (commit.rows === undefined) this.#skip(state, commit.next)
      else for (const row of commit.rows) this.#append(state, commit.first, row)
      for (let i = 0; i + 1 < commit.clocks.length; i += 2) {
        const counter = commit.clocks[i]!
        state.clocks.set(
          counter,
          Math.max(commit.clocks[i + 1]!, state.clocks.get(counter) ?? -Infinity),
        )
      }
      state.next = commit.next
    }
    if (reaches(state.next, poll.next, poll.gaps)) state.next = poll.next
    return true
  }

  #append(state: Partition, first: number, row: DeltaRow): void {
    const { counter, start, slots, deltas, carries } = row
    const known = state.slotMax.get(counter) ?? -1
    const greatest = slots.reduce((a, b) => Math.max(a, b), known)
    if (greatest > known) state.slotMax.set(counter, greatest)
    state.ring.append(first, counter, start, slots, deltas, carries)
  }

  #skip(state: Partition, next: number): void {
    state.ring = new DirtRing()
    state.base = next
    state.epoch++
    this.#seriesMissed++
  }

  /**
   * What lies below the floor is in the pages. It is let go one step late, so that a page read in a
   * snapshot of just before still meets all the deltas it lacks.
   */
  #letGo(partition: number, state: Partition, floor: number): void {
    const due = state.floor
    state.floor = floor
    if (state.ring.sizeBefore(due) >= this.#limits.pruneEntriesMin) {
      this.#prune(partition, state, due)
    }
  }

  #prune(partition: number, state: Partition, to: number): void {
    if (to <= state.base) return
    state.ring.prune(to, (counter, slot, first, delta) =>
      this.#absorb(partition, counter, slot, first, delta),
    )
    state.base = to
  }

  #stayBounded(): void {
    while (this.entries > this.#limits.entriesMax) {
      const [partition, fullest] = [...this.#partitions].reduce((a, b) =>
        b[1].ring.size > a[1].ring.size ? b : a,
      )
      this.#prune(partition, fullest, fullest.next)
    }
  }
}

/** Whether the chain may go on at `first`: where it ended, or across an accepted gap. */
function reaches(next: number, first: number, gaps: PolledPartition['gaps']): boolean {
  return first === next || gaps.some(([from, to]) => from === next && to === first)
}

function pairs(flat: readonly number[]): Map<number, number> {
  const map = new Map<number, number>()
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(flat[i]!, flat[i + 1]!)
  return map
}
