/**
 * HalfSipHash-1-3 (Aumasson, Bernstein) over 32-bit words, with a 128-bit key and 96 bits taken of
 * its 128-bit state. It is keyed by a secret, so that nobody outside can craft two ids that
 * collide, and its rounds are few shifts and adds of int32, which is what JavaScript does well.
 * The hash of an event's identity is `hash(counter, key, id)`, each part after its length; the
 * state after counter and key is kept per series, so that an event costs its id's bytes only.
 */

/** Four words; the secret kept in Postgres, the same in every generation. */
export type HashKey = Int32Array

/** Words of a stored state. */
export const STATE_WORDS = 4

export function hashKeyOf(secret: Uint8Array): HashKey {
  if (secret.length !== 16) throw new RangeError('the hash secret must have 16 bytes')
  const view = viewOf(secret)
  return Int32Array.from({ length: 4 }, (_, i) => view.getInt32(4 * i, true))
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Writes the state of an empty hash to `states[at, at + 4)`. */
export function beginHash(key: HashKey, states: Int32Array, at: number): void {
  states[at] = key[0]!
  states[at + 1] = key[1]!
  states[at + 2] = key[2]! ^ 0x6c796765
  states[at + 3] = key[3]! ^ 0x74656462
}

/** Adds the length and the bytes `[start, end)` of `view` to the state at `states[at]`. */
export function absorbBytes(
  states: Int32Array,
  at: number,
  view: DataView,
  start: number,
  end: number,
): void {
  absorbWord(states, at, end - start)
  let i = start
  for (; i + 4 <= end; i += 4) absorbWord(states, at, view.getInt32(i, true))
  if (i < end) absorbWord(states, at, tailWord(view, i, end))
}

export function absorbWord(states: Int32Array, at: number, word: number): void {
  let v0 = states[at]!
  let v1 = states[at + 1]!
  let v2 = states[at + 2]!
  let v3 = states[at + 3]! ^ word
  v0 = (v0 + v1) | 0
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
  v0 = (v0 << 16) | (v0 >>> 16)
  v2 = (v2 + v3) | 0
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
  v0 = (v0 + v3) | 0
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
  v2 = (v2 + v1) | 0
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
  v2 = (v2 << 16) | (v2 >>> 16)
  states[at] = v0 ^ word
  states[at + 1] = v1
  states[at + 2] = v2
  states[at + 3] = v3
}

function tailWord(view: DataView, start: number, end: number): number {
  let word = view.getUint8(start)
  if (start + 1 < end) word |= view.getUint8(start + 1) << 8
  if (start + 2 < end) word |= view.getUint8(start + 2) << 16
  return word
}

/**
 * Finishes the hash of the state at `states[at]` with the bytes `[start, end)` and writes three
 * words to `out[outAt, outAt + 3)`. The stored state stays as it is. The round stands here twice,
 * written out, because the state has to stay in registers: this is the hottest loop but one.
 */
export function finishHash(
  states: Int32Array,
  at: number,
  view: DataView,
  start: number,
  end: number,
  out: Int32Array,
  outAt: number,
): void {
  let v0 = states[at]!
  let v1 = states[at + 1]!
  let v2 = states[at + 2]!
  let v3 = states[at + 3]!
  const words = ((end - start) >> 2) + 1
  let i = start
  for (let n = 1; n <= words; n++) {
    // The last word holds what is left, at most three bytes, and the length.
    const word = n < words ? view.getInt32(i, true) : lastWord(view, i, end, end - start)
    i += 4
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  v2 ^= 0xff
  for (let n = 0; n < 3; n++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  out[outAt] = v0 ^ v1
  out[outAt + 1] = v2 ^ v3
  out[outAt + 2] = v1 ^ v2
}

function lastWord(view: DataView, start: number, end: number, length: number): number {
  return (start < end ? tailWord(view, start, end) : 0) | (length << 24)
}

/** A quick 32-bit hash of bytes for tables that compare bytes anyway. */
export function tableHash(seed: number, view: DataView, start: number, end: number): number {
  let h = seed ^ (end - start)
  let i = start
  for (; i + 4 <= end; i += 4) {
    h = Math.imul(h ^ view.getInt32(i, true), 0x9e3779b1)
    h ^= h >>> 15
  }
  if (i < end) h = Math.imul(h ^ tailWord(view, i, end), 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Mixes a word into a running 32-bit digest. */
export function mixWord(digest: number, word: number): number {
  const h = Math.imul(digest ^ word, 0x9e3779b1)
  return h ^ (h >>> 15)
}
