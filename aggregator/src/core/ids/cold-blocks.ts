import { ID_WORDS } from './id-shape.ts'

/** Ids of a row: two rows fill a page of Postgres. */
export const COLD_BLOCK_IDS = 248
const ID_BYTES = ID_WORDS * 4
/** What of an id's third word is known when the block is not whole. */
const KNOWN_BITS = -1 << 14

/** Ids in the order of their hashes, from the hash `first` on. */
export type ColdBlock = {
  readonly first: number
  /** False when the last 14 bits of the third words are not known. */
  readonly whole: boolean
  /** Four words an id. */
  readonly words: Int32Array
}

/**
 * Cuts ids that come in the order of their hashes into blocks, so that all ids with the same first
 * word are in one.
 */
export class ColdBlocks {
  #words = new Int32Array(4 * COLD_BLOCK_IDS * ID_WORDS)
  #count = 0
  #isWhole = true
  /** The first block is for everything before the second. */
  #isFirst = true

  /** Adds the first `count` of `words`, four words an id, and gives what is full by that. */
  add(words: Int32Array, count: number, whole: boolean): ColdBlock[] {
    const full: ColdBlock[] = []
    for (let i = 0; i < count; i++) {
      const h0 = words[i * ID_WORDS]!
      const isFull = this.#count >= COLD_BLOCK_IDS
      if (isFull && h0 !== this.#words[(this.#count - 1) * ID_WORDS]!) full.push(this.#take())
      if (this.#count * ID_WORDS === this.#words.length) {
        const more = new Int32Array(2 * this.#words.length)
        more.set(this.#words)
        this.#words = more
      }
      const at = this.#count++ * ID_WORDS
      for (let word = 0; word < ID_WORDS; word++) {
        this.#words[at + word] = words[i * ID_WORDS + word]!
      }
      this.#isWhole &&= whole
    }
    return full
  }

  /** What is left. */
  end(): ColdBlock[] {
    return this.#count > 0 ? [this.#take()] : []
  }

  #take(): ColdBlock {
    const words = this.#words.slice(0, this.#count * ID_WORDS)
    const first = this.#isFirst ? 0 : words[0]! >>> 0
    const whole = this.#isWhole
    this.#isFirst = false
    this.#isWhole = true
    this.#count = 0
    return { first, whole, words }
  }
}

/** The payload of an id, `words[0, 3)`, in a block's ids; undefined when it is not among them. */
export function payloadIn(ids: Buffer, whole: boolean, words: Int32Array): number | undefined {
  const known = whole ? -1 : KNOWN_BITS
  for (let at = 0; at + ID_BYTES <= ids.length; at += ID_BYTES) {
    if (ids.readInt32LE(at + 4) !== words[1] || ids.readInt32LE(at) !== words[0]) continue
    if (((ids.readInt32LE(at + 8) ^ words[2]!) & known) === 0) return ids.readInt32LE(at + 12)
  }
  return undefined
}
