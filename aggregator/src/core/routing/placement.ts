import { LIMITS } from '@countersink/shared/event'
import { homePartition, partitionHash } from '@countersink/shared/routing'
import {
  partitionOfLane,
  type RoutingVersion,
  shardPartitions,
  untoldVersion,
} from '@countersink/shared/routing-table'

/** Whether a series' events belong into the partition: by every version, by none, or it depends. */
export const HERE = 0
export const ELSEWHERE = 1
export const DEPENDS = 2
/** It depends, and the last version says yes: the usual case after a change. */
export const HERE_NOW = 3
const KIND_BITS = 2
const KIND_MASK = 3

const SLASH = 0x2f
/** Series whose answers are kept for each version; with more, all are forgotten and found again. */
const ANSWERS_MAX = 4096
/** Beyond any slot, so that counter and slot make one number. */
const SLOTS_MAX = 2 ** 24

/** The routing versions as the fold sees them; they are put in here between two batches. */
export class RoutingVersions {
  list: readonly RoutingVersion[] = []
  /** Grows with each change: what was found out under another number is out of date. */
  generation = 0
  /** The event time from which the last version holds. */
  lastFrom = 0

  /** A topic whose events have always gone by the number of its partitions. */
  static fixed(partitions: number): RoutingVersions {
    const versions = new RoutingVersions()
    versions.set([untoldVersion(partitions)])
    return versions
  }

  set(list: readonly RoutingVersion[]): void {
    if (list.length === this.list.length && list.every((version, i) => version === this.list[i])) {
      return
    }
    this.list = list
    this.lastFrom = list.at(-1)?.effectiveAt ?? 0
    this.generation++
  }
}

/** The series of a counter, as far as placing them needs it. */
type Series = {
  readonly nameBytes: Uint8Array
  readonly dictionary: {
    readonly bytes: Uint8Array
    startOf(slot: number): number
    endOf(slot: number): number
    name(slot: number): Uint8Array
    flags(slot: number): number
    setFlags(slot: number, flags: number): void
  }
}

/**
 * Says which events lie in another partition than the one that routing gives them, where copies
 * sent by the rules would not meet them. Right is every partition to which the version in force at
 * the event's `at` sends its key; and for an id that an SDK made, the one that the id names. Most
 * series need one look at a number: the flags of a slot remember what all versions say of it.
 */
export class Placement {
  readonly #partition: number
  readonly #versions: RoutingVersions
  readonly #recordKey = Buffer.alloc(LIMITS.counterBytesMax + 1 + LIMITS.keyBytesMax)
  /** Series that depend on the version -> for each version, 1 when it sends the key here. */
  #answers = new Map<number, Uint8Array>()
  #answersGeneration = -1
  /** What `#answersFor` gives: filled again by each call. */
  #lastAnswers = new Uint8Array(1)

  constructor(partition: number, versions: RoutingVersions) {
    this.#partition = partition
    this.#versions = versions
  }

  /** HERE, ELSEWHERE, DEPENDS or HERE_NOW, for a slot of a total. */
  kindOf({ nameBytes, dictionary }: Series, slot: number): number {
    const { generation } = this.#versions
    const flags = dictionary.flags(slot)
    if (flags >>> KIND_BITS === generation) return flags & KIND_MASK
    const { bytes } = dictionary
    const kind = this.#kindOfKey(nameBytes, bytes, dictionary.startOf(slot), dictionary.endOf(slot))
    dictionary.setFlags(slot, (generation << KIND_BITS) | kind)
    return kind
  }

  #kindOfKey(counter: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
    const answers = this.#answersFor(counter, bytes, start, end)
    let here = 0
    for (let i = 0; i < answers.length; i++) here += answers[i]!
    if (here === answers.length) return HERE
    if (here === 0) return ELSEWHERE
    return answers.at(-1) === 1 ? HERE_NOW : DEPENDS
  }

  /** Whether an event of the slot is misrouted. `lane` is that of an SDK-made id, else -1. */
  isMisrouted(series: Series, ordinal: number, slot: number, at: number, lane: number): boolean {
    const kind = this.kindOf(series, slot)
    if (kind === HERE || (lane >= 0 && partitionOfLane(lane) === this.#partition)) return false
    if (kind === ELSEWHERE) return true
    const { generation, lastFrom } = this.#versions
    if (kind === HERE_NOW && at >= lastFrom) return false
    if (this.#answersGeneration !== generation || this.#answers.size >= ANSWERS_MAX) {
      this.#answers.clear()
      this.#answersGeneration = generation
    }
    const name = ordinal * SLOTS_MAX + slot
    let answers = this.#answers.get(name)
    if (answers === undefined) {
      const key = series.dictionary.name(slot)
      answers = this.#answersFor(series.nameBytes, key, 0, key.length).slice()
      this.#answers.set(name, answers)
    }
    return answers[this.#indexAt(at)] === 0
  }

  /** The same for a key that has no slot yet. */
  isKeyMisrouted(counter: Uint8Array, key: Uint8Array, at: number, lane: number): boolean {
    if (lane >= 0 && partitionOfLane(lane) === this.#partition) return false
    return this.#answersFor(counter, key, 0, key.length)[this.#indexAt(at)] === 0
  }

  #indexAt(at: number): number {
    const { list } = this.#versions
    let index = list.length - 1
    while (index > 0 && list[index]!.effectiveAt > at) index--
    return index
  }

  /**
   * For each version 1 when it sends the key `bytes[start, end)` here; holds until the next call,
   * since every new series asks and nearly all are done with one look at it.
   */
  #answersFor(counter: Uint8Array, bytes: Uint8Array, start: number, end: number): Uint8Array {
    const { list } = this.#versions
    if (this.#lastAnswers.length !== list.length) this.#lastAnswers = new Uint8Array(list.length)
    const hash = this.#hashOf(counter, bytes, start, end)
    let names: { counter: string; key: string } | undefined
    for (let i = 0; i < list.length; i++) {
      const version = list[i]!
      let isHere = homePartition(hash, version.partitions) === this.#partition
      if (!isHere && version.ways.size > 0) {
        names ??= {
          counter: Buffer.from(counter).toString(),
          key: Buffer.from(bytes.subarray(start, end)).toString(),
        }
        const partitions = shardPartitions(version, names.counter, names.key, hash)
        isHere = partitions.includes(this.#partition)
      }
      this.#lastAnswers[i] = isHere ? 1 : 0
    }
    return this.#lastAnswers
  }

  /** The hash of the record key, as recordHash gives it for strings; copied by loops, being short. */
  #hashOf(counter: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
    const recordKey = this.#recordKey
    let length = 0
    for (let i = 0; i < counter.length; i++) recordKey[length++] = counter[i]!
    recordKey[length++] = SLASH
    for (let i = start; i < end; i++) recordKey[length++] = bytes[i]!
    return partitionHash(recordKey, 0, length)
  }
}
