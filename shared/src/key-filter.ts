import { murmur2 } from './routing.ts'

/** Of so many series the keys share a word. Of keys that are not in a run 1 in 100 seems to be. */
const SERIES_PER_WORD = 5
const KEY_BYTES_INITIAL = 1024

/**
 * A run's filter, a Bloom filter of words of 64 bits: a key that is in the run has its four bits set
 * in the word number `hash % words`. A look-up in many runs opens the few that may have the key.
 */
export class KeyFilter {
  /** Of each word the low and the high half. */
  readonly #halves: Int32Array

  constructor(series: number) {
    this.#halves = new Int32Array(2 * Math.ceil(series / SERIES_PER_WORD))
  }

  /** Adds the key `bytes[start, end)`, UTF-8. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const hash = murmur2(bytes, start, end)
    const bits = mixed(hash)
    const word = (hash & 0x7fffffff) % (this.#halves.length >> 1)
    this.#halves[2 * word]! |= twoBits(bits)
    this.#halves[2 * word + 1]! |= twoBits(bits >>> 10)
  }

  /** As the table has them, in order. */
  words(): BigInt64Array {
    const words = new BigInt64Array(this.#halves.length >> 1)
    for (let i = 0; i < words.length; i++) {
      words[i] = word(this.#halves[2 * i]!, this.#halves[2 * i + 1]!)
    }
    return words
  }
}

/** What a key has in every filter: `bits` in the word number `hash` modulo their number. */
export type KeyMark = { hash: number; bits: bigint }

export function keyMark(key: string): KeyMark {
  const { written } = ENCODER.encodeInto(key, bytesFor(key))
  const hash = murmur2(encoded, 0, written)
  const bits = mixed(hash)
  return { hash: hash & 0x7fffffff, bits: word(twoBits(bits), twoBits(bits >>> 10)) }
}

const ENCODER = new TextEncoder()
let encoded = new Uint8Array(KEY_BYTES_INITIAL)

function bytesFor(key: string): Uint8Array {
  // A code unit is at most three bytes.
  if (3 * key.length > encoded.length) encoded = new Uint8Array(6 * key.length)
  return encoded
}

function mixed(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function twoBits(bits: number): number {
  return (1 << (bits & 31)) | (1 << ((bits >>> 5) & 31))
}

function word(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0)
}
