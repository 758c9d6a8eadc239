import { SDK_ID } from '@countersink/shared/sdk-id'
import { type HashKey, mixWord } from '../keyed-hash.ts'
import { grown } from '../typed-growth.ts'

/** A lane's name: 25 bytes of session, three zeros, its number within the session. */
const NAME_WORDS = 8
const LANE_WORD = 7
const LANES_INITIAL = 64
const INDEX_LOAD_MAX = 0.6
/** Each may take 264 bytes with its set and interval: half a gigabyte at this bound. */
export const LANES_PER_PARTITION_MAX = 2 ** 21
/** Lanes without intervals are forgotten when there are so many of them, and a fifth of all. */
const IDLE_LANES_MAX = 64
const IDLE_SHARE_MAX = 0.2

/**
 * The lanes of SDK-made ids that one partition remembers: (session, lane of the session) to a small
 * number, which is what columns and intervals carry. Numbers are of the memory only, they say nothing
 * about order and are dealt again: one that `intern` gave holds until `forgetIdle` is called, which
 * happens between records, when a commit is sealed.
 */
export class LaneTable {
  readonly #seed: number
  #names = new Int32Array(LANES_INITIAL * NAME_WORDS)
  /** Sets of intervals that each lane has; -1 for a number that is free. */
  #uses = new Int32Array(LANES_INITIAL)
  #index = new Int32Array(4 * LANES_INITIAL)
  #free: number[] = []
  #dealt = 0
  #idle = 0
  readonly #name = new Int32Array(NAME_WORDS)
  readonly #nameBytes = new Uint8Array(this.#name.buffer)
  #last = -1

  constructor(hashKey: HashKey) {
    this.#seed = hashKey[3]!
  }

  get size(): number {
    return this.#dealt - this.#free.length
  }

  get byteLength(): number {
    return this.#names.byteLength + this.#uses.byteLength + this.#index.byteLength
  }

  /** The number of a lane whose session is `bytes[sessionStart, sessionStart + 25)`, dealt if new. */
  intern(bytes: Uint8Array, sessionStart: number, lane: number): number {
    const name = this.#nameBytes
    for (let i = 0; i < SDK_ID.sessionChars; i++) name[i] = bytes[sessionStart + i]!
    this.#name[LANE_WORD] = lane
    if (this.#last >= 0 && this.#isNamed(this.#last)) return this.#last
    const mask = this.#index.length - 1
    let place = hashOf(this.#seed, this.#name, 0) & mask
    for (; this.#index[place] !== 0; place = (place + 1) & mask) {
      const number = this.#index[place]! - 1
      if (this.#isNamed(number)) return (this.#last = number)
    }
    return (this.#last = this.#deal(place))
  }

  /** Writes the 25 bytes of a lane's session to `out`; gives its number within the session. */
  copyName(number: number, out: Uint8Array, at: number): number {
    const base = number * NAME_WORDS
    const session = new Uint8Array(this.#names.buffer, base * 4, SDK_ID.sessionChars)
    out.set(session, at)
    return this.#names[base + LANE_WORD]!
  }

  /** Its number within its session. */
  laneOf(number: number): number {
    return this.#names[number * NAME_WORDS + LANE_WORD]!
  }

  /** A set of intervals of this lane was made. */
  retain(number: number): void {
    if (this.#uses[number]!++ === 0) this.#idle--
  }

  /** A set of intervals of this lane is gone. */
  release(number: number): void {
    if (--this.#uses[number]! === 0) this.#idle++
  }

  /** Forgets the lanes that no interval lives of, once they are enough to be worth a walk. */
  forgetIdle(): void {
    if (this.#idle <= Math.max(IDLE_LANES_MAX, this.size * IDLE_SHARE_MAX)) return
    for (let number = 0; number < this.#dealt; number++) {
      if (this.#uses[number] !== 0) continue
      this.#uses[number] = -1
      this.#free.push(number)
    }
    this.#idle = 0
    this.#last = -1
    this.#reindex(this.#index.length)
  }

  #deal(place: number): number {
    const number = this.#free.pop() ?? this.#dealt++
    if (number === this.#uses.length) this.#grow()
    this.#names.set(this.#name, number * NAME_WORDS)
    this.#uses[number] = 0
    this.#idle++
    if (this.size > this.#index.length * INDEX_LOAD_MAX) this.#reindex(2 * this.#index.length)
    else this.#index[place] = number + 1
    return number
  }

  #grow(): void {
    if (this.#dealt > LANES_PER_PARTITION_MAX) {
      throw new RangeError(`more than ${LANES_PER_PARTITION_MAX} lanes in one partition's lateness`)
    }
    const lanes = 2 * this.#uses.length
    this.#names = grown(this.#names, new Int32Array(lanes * NAME_WORDS))
    this.#uses = grown(this.#uses, new Int32Array(lanes))
  }

  #isNamed(number: number): boolean {
    const base = number * NAME_WORDS
    for (let i = 0; i < NAME_WORDS; i++) {
      if (this.#names[base + i] !== this.#name[i]) return false
    }
    return true
  }

  #reindex(capacity: number): void {
    this.#index = new Int32Array(capacity)
    for (let number = 0; number < this.#dealt; number++) {
      if (this.#uses[number]! < 0) continue
      let place = hashOf(this.#seed, this.#names, number * NAME_WORDS) & (capacity - 1)
      while (this.#index[place] !== 0) place = (place + 1) & (capacity - 1)
      this.#index[place] = number + 1
    }
  }
}

function hashOf(seed: number, words: Int32Array, at: number): number {
  let hash = seed
  for (let i = at; i < at + NAME_WORDS; i++) hash = mixWord(hash, words[i]!)
  return hash ^ (hash >>> 13)
}
