import { absorbBytes, beginHash, type HashKey, tableHash, viewOf } from '../keyed-hash.ts'

const ENTRY_WORDS = 8
const HASH = 0
const OFFSET = 1
const LENGTH = 2
const FLAGS = 3
const STATE = 4

const SERIES_INITIAL = 64
const ARENA_BYTES_INITIAL = 1024
/** An index at most this full keeps a look-up at about one and a half probes. */
const LOAD_MAX = 0.6

/**
 * A place of the index: 8 bits of the hash, which the place itself does not tell, and 1 + the slot;
 * 0 is empty. With the tag a look-up touches one entry, hardly ever that of a name which is not it.
 */
const SLOT_BITS = 24
const SLOT_MASK = 2 ** SLOT_BITS - 1
export const NO_SLOT = -1

/** What so many names touch stays in the cache. */
const NAMES_AT_ONCE = 512
const HASHES = new Int32Array(NAMES_AT_ONCE)
/** What loads made for the cache's sake gave, so that they are not optimised away. */
const SEEN = new Int32Array(1)

/**
 * The slots of one counter in one partition: series name -> slot, dealt densely in the order of
 * first sight. A name is the key's UTF-8, for a breakdown followed by NUL name NUL value for each
 * of its dims (keys and dims hold no NUL). Exact: bytes are compared, the hash is the way there.
 *
 * A slot's entry is eight words in one row, half a cache line: table hash, arena offset, length,
 * flags, and the keyed hash state after (counter, key), with which an id's hash goes on.
 */
export class SeriesDictionary {
  readonly #hashKey: HashKey
  readonly #counterView: DataView
  #index = new Int32Array(2 * SERIES_INITIAL)
  #entries = new Int32Array(ENTRY_WORDS * SERIES_INITIAL)
  #arena = new Uint8Array(ARENA_BYTES_INITIAL)
  #arenaView = viewOf(this.#arena)
  #arenaLength = 0
  #size = 0

  constructor(hashKey: HashKey, counter: Uint8Array) {
    this.#hashKey = hashKey
    this.#counterView = viewOf(counter)
  }

  /** How many slots are dealt: they are 0 to size - 1. */
  get size(): number {
    return this.#size
  }

  /** Bytes allocated for all series. */
  get byteLength(): number {
    return this.#index.byteLength + this.#entries.byteLength + this.#arena.byteLength
  }

  /** The rows that hold the hash states; see stateAt. Replaced when the dictionary grows. */
  get states(): Int32Array {
    return this.#entries
  }

  stateAt(slot: number): number {
    return slot * ENTRY_WORDS + STATE
  }

  /** 0 for a new slot; then what setFlags set. */
  flags(slot: number): number {
    return this.#entries[slot * ENTRY_WORDS + FLAGS]!
  }

  setFlags(slot: number, flags: number): void {
    this.#entries[slot * ENTRY_WORDS + FLAGS] = flags
  }

  /** The slot of the name `bytes[start, end)`, or NO_SLOT. `view` is over the same bytes. */
  find(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const hash = tableHash(this.#hashKey[0]!, view, start, end)
    const mask = this.#index.length - 1
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const place = this.#index[at]!
      if (place === 0) return NO_SLOT
      if (place >>> SLOT_BITS !== hash >>> SLOT_BITS) continue
      const slot = (place & SLOT_MASK) - 1
      if (this.#isNamed(slot, bytes, start, end)) return slot
    }
  }

  /**
   * `find` for the names number `from` to `to` - 1, into `slots`. Each step is a loop of its own, so
   * that the cache misses of the names overlap instead of waiting for one another: with a million
   * series a look-up is little else. The shorter a loop, the more of its loads are under way.
   */
  findMany(
    bytes: Uint8Array,
    view: DataView,
    starts: Int32Array,
    ends: Int32Array,
    from: number,
    to: number,
    slots: Int32Array,
  ): void {
    for (let i = from; i < to; i += NAMES_AT_ONCE) {
      this.#findSome(bytes, view, starts, ends, i, Math.min(i + NAMES_AT_ONCE, to), slots)
    }
  }

  #findSome(
    bytes: Uint8Array,
    view: DataView,
    starts: Int32Array,
    ends: Int32Array,
    from: number,
    to: number,
    slots: Int32Array,
  ): void {
    const [index, entries, arena] = [this.#index, this.#entries, this.#arena]
    const mask = index.length - 1
    const seed = this.#hashKey[0]!
    let seen = 0
    for (let i = from; i < to; i++) {
      HASHES[i - from] = tableHash(seed, view, starts[i]!, ends[i]!)
    }
    for (let i = 0; i < to - from; i++) seen ^= index[HASHES[i]! & mask]!
    for (let i = from; i < to; i++) slots[i] = this.#guess(HASHES[i - from]!)
    for (let i = from; i < to; i++) {
      if (slots[i]! >= 0) seen ^= entries[slots[i]! * ENTRY_WORDS]!
    }
    for (let i = from; i < to; i++) {
      if (slots[i]! >= 0) seen ^= arena[entries[slots[i]! * ENTRY_WORDS + OFFSET]!]!
    }
    for (let i = from; i < to; i++) {
      const slot = slots[i]!
      if (slot < 0 || this.#isNamed(slot, bytes, starts[i]!, ends[i]!)) continue
      slots[i] = this.find(bytes, view, starts[i]!, ends[i]!)
    }
    SEEN[0] = seen
  }

  /** The first slot whose tag is the hash's; NO_SLOT only when no name has this hash. */
  #guess(hash: number): number {
    const mask = this.#index.length - 1
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const place = this.#index[at]!
      if (place === 0) return NO_SLOT
      if (place >>> SLOT_BITS === hash >>> SLOT_BITS) return (place & SLOT_MASK) - 1
    }
  }

  /**
   * Deals the next slot to a name that `find` did not find. Its first `keyLength` bytes are the key.
   */
  deal(bytes: Uint8Array, start: number, end: number, keyLength: number): number {
    if (this.#size === SLOT_MASK) throw new RangeError(`more than ${SLOT_MASK} series of a counter`)
    if ((this.#size + 1) * ENTRY_WORDS > this.#entries.length) this.#growEntries()
    if (this.#size + 1 > this.#index.length * LOAD_MAX) this.#growIndex()
    const offset = this.#store(bytes, start, end)
    const slot = this.#size++
    const entry = slot * ENTRY_WORDS
    const view = this.#arenaView
    const hash = tableHash(this.#hashKey[0]!, view, offset, offset + end - start)
    this.#entries[entry + HASH] = hash
    this.#entries[entry + OFFSET] = offset
    this.#entries[entry + LENGTH] = end - start
    this.#entries[entry + FLAGS] = 0
    beginHash(this.#hashKey, this.#entries, entry + STATE)
    absorbBytes(this.#entries, entry + STATE, this.#counterView, 0, this.#counterView.byteLength)
    absorbBytes(this.#entries, entry + STATE, view, offset, offset + keyLength)
    this.#link(slot, hash)
    return slot
  }

  /** The name of a slot, a view that holds until the next deal. */
  name(slot: number): Uint8Array {
    const entry = slot * ENTRY_WORDS
    const offset = this.#entries[entry + OFFSET]!
    return this.#arena.subarray(offset, offset + this.#entries[entry + LENGTH]!)
  }

  /** The bytes that all names are in, for loops over many of them; replaced when they grow. */
  get bytes(): Uint8Array {
    return this.#arena
  }

  /** Where the name of a slot begins in `bytes`. */
  startOf(slot: number): number {
    return this.#entries[slot * ENTRY_WORDS + OFFSET]!
  }

  endOf(slot: number): number {
    return this.startOf(slot) + this.#entries[slot * ENTRY_WORDS + LENGTH]!
  }

  /** Where its key ends: at the first NUL, if it has dims. */
  keyEndOf(slot: number): number {
    const end = this.endOf(slot)
    for (let p = this.startOf(slot); p < end; p++) if (this.#arena[p] === 0) return p
    return end
  }

  #isNamed(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const entry = slot * ENTRY_WORDS
    const length = end - start
    if (this.#entries[entry + LENGTH] !== length) return false
    const arena = this.#arena
    const offset = this.#entries[entry + OFFSET]!
    for (let i = 0; i < length; i++) {
      if (arena[offset + i] !== bytes[start + i]) return false
    }
    return true
  }

  #store(bytes: Uint8Array, start: number, end: number): number {
    const needed = this.#arenaLength + end - start
    if (needed > this.#arena.length) {
      const arena = new Uint8Array(Math.max(needed, Math.ceil(this.#arena.length * 1.5)))
      arena.set(this.#arena.subarray(0, this.#arenaLength))
      this.#arena = arena
      this.#arenaView = viewOf(arena)
    }
    const offset = this.#arenaLength
    for (let i = start; i < end; i++) this.#arena[this.#arenaLength++] = bytes[i]!
    return offset
  }

  #growEntries(): void {
    const entries = new Int32Array(
      Math.ceil((this.#entries.length / ENTRY_WORDS) * 1.5) * ENTRY_WORDS,
    )
    entries.set(this.#entries)
    this.#entries = entries
  }

  #growIndex(): void {
    this.#index = new Int32Array(this.#index.length * 2)
    for (let slot = 0; slot < this.#size; slot++) {
      this.#link(slot, this.#entries[slot * ENTRY_WORDS + HASH]!)
    }
  }

  #link(slot: number, hash: number): void {
    const mask = this.#index.length - 1
    let at = hash & mask
    while (this.#index[at] !== 0) at = (at + 1) & mask
    this.#index[at] = ((hash >>> SLOT_BITS) << SLOT_BITS) | (slot + 1)
  }
}

/** Takes a series name apart again: the key, and the dims of a breakdown. */
export function parseSeriesName(name: Uint8Array): { key: string; dims: Record<string, string> } {
  const text = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString()
  // Most names are keys alone, and a new partition names hundreds of thousands of them.
  if (!text.includes('\u0000')) return { key: text, dims: {} }
  const [key, ...parts] = text.split('\u0000') as [string, ...string[]]
  const dims = new Map<string, string>()
  for (let i = 0; i + 1 < parts.length; i += 2) dims.set(parts[i]!, parts[i + 1]!)
  return { key, dims: Object.fromEntries(dims) }
}

/** The name under which a stored series is found again; dims in the order of their names. */
export function formatSeriesName(key: string, dims: Readonly<Record<string, string>>): Buffer {
  const parts = Object.keys(dims)
    .toSorted()
    .flatMap((name) => [name, dims[name]!])
  return Buffer.from([key, ...parts].join('\u0000'))
}
