import type { IdBucket, IdMemory } from './id-memory.ts'
import type { PartitionState } from '../partition-state.ts'

/** Of an id in memory, index and growth included (tests of the table hold it; 5 % more while many expire). */
const HOT_ID_BYTES = 20
/** Of an id whose bucket is in Postgres, at most. */
const COLD_ID_BYTES = 2
/** From this share of the bound on, old buckets leave the memory. */
const PRESSURE_SHARE = 0.75
/** Fewer ids of a bucket are not worth a run of their own, in the largest memory. */
const RUN_IDS_MIN = 4096
/** Nor are fewer than this part of what the bucket has in Postgres: so that its runs stay few. */
const RUN_SHARE_MIN = 1 / 4

/** A bucket that may leave the memory, and how old it is, in buckets. */
export type Candidate = { state: PartitionState; bucket: IdBucket; age: number }

export function idBytes({ size, cold }: IdMemory): number {
  return size * HOT_ID_BYTES + cold.byteLength
}

/** How much the hashed ids of all partitions of a process may take, and what has to leave for it. */
export class IdBudget {
  readonly bytesMax: number
  readonly #runIdsMin: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
    const share = Math.floor(bytesMax / HOT_ID_BYTES / 256)
    this.#runIdsMin = Math.max(1, Math.min(RUN_IDS_MIN, share))
  }

  usedBytes(states: readonly PartitionState[]): number {
    return states.reduce((sum, { ids }) => sum + idBytes(ids.hashed), 0)
  }

  /** True when buckets should leave, so that there is room when it is needed. */
  isPressed(states: readonly PartitionState[]): boolean {
    return this.usedBytes(states) > PRESSURE_SHARE * this.bytesMax
  }

  isFull(states: readonly PartitionState[]): boolean {
    return this.usedBytes(states) > this.bytesMax
  }

  /** So many more would be too many even with all ids in Postgres that may ever go there. */
  cannotHold(count: number, states: readonly PartitionState[]): boolean {
    let leaving = 0
    for (const state of states) {
      for (const bucket of state.ids.hashed.buckets()) {
        if (isOld(state, bucket)) leaving += bucket.count
        leaving += bucket.cooling?.count ?? 0
      }
    }
    const least = this.usedBytes(states) - leaving * (HOT_ID_BYTES - COLD_ID_BYTES)
    return least + count * COLD_ID_BYTES > this.bytesMax
  }

  /** How many ids can be in memory at all. */
  get idsMax(): number {
    return Math.floor(this.bytesMax / HOT_ID_BYTES)
  }

  /**
   * The oldest bucket that may leave and is worth it. With `sealed`, only of those that have nothing
   * that no commit has. The newest bucket of a counter stays, and what may have ids of SDKs among the
   * hashed ones, which are asked for where nobody can wait.
   */
  candidate(states: readonly PartitionState[], sealed: boolean): Candidate | undefined {
    let oldest: Candidate | undefined
    for (const one of candidates(states, sealed)) {
      const isWorthIt = one.bucket.count >= this.#worthwhile(one)
      if (isWorthIt && (oldest === undefined || one.age > oldest.age)) oldest = one
    }
    return oldest
  }

  /** The largest bucket that may leave, however few its ids are: when the alternative is a halt. */
  lastResort(states: readonly PartitionState[], sealed: boolean): Candidate | undefined {
    let largest: Candidate | undefined
    for (const one of candidates(states, sealed)) {
      if (largest === undefined || one.bucket.count > largest.bucket.count) largest = one
    }
    return largest
  }

  #worthwhile({ state, bucket: { counter, end } }: Candidate): number {
    return Math.max(this.#runIdsMin, RUN_SHARE_MIN * state.ids.hashed.cold.countOf(counter, end))
  }

  /** What a person is told when the ids cannot fit. */
  refusal(count: number): string {
    const mib = (this.bytesMax / 2 ** 20).toFixed(1)
    return (
      `${count} ids within the lateness do not fit into the ${mib} MiB of COUNTERSINK_IDS_BYTES_MAX, ` +
      `and forgetting one early could count it twice: set a shorter lateness, run more aggregators, or allow more memory`
    )
  }
}

function* candidates(states: readonly PartitionState[], sealed: boolean): Generator<Candidate> {
  for (const state of states) {
    for (const bucket of state.ids.hashed.buckets()) {
      if (bucket.count === 0 || bucket.cooling !== undefined || !isOld(state, bucket)) continue
      if (sealed && bucket.freshCount > 0) continue
      const { clock, bucketMs } = state.counters.list[bucket.counter]!
      yield { state, bucket, age: (clock - bucket.end) / bucketMs }
    }
  }
}

function isOld(state: PartitionState, { counter, end }: IdBucket): boolean {
  return end <= state.counters.list[counter]!.clock && !state.ids.mayBeHashed(counter)
}
