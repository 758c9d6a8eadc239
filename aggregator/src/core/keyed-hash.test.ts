import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  absorbBytes,
  beginHash,
  finishHash,
  hashKeyOf,
  STATE_WORDS,
  tableHash,
  viewOf,
} from './keyed-hash.ts'

const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i)
const KEY = hashKeyOf(SECRET)

/** The identity of an event, as a partition makes it: counter and key kept as a state, then the id. */
function hashOf(parts: readonly Uint8Array[], key = KEY): number[] {
  const states = new Int32Array(STATE_WORDS)
  const out = new Int32Array(3)
  beginHash(key, states, 0)
  for (const part of parts.slice(0, -1)) absorbBytes(states, 0, viewOf(part), 0, part.length)
  const last = parts.at(-1)!
  const before = states.slice()
  finishHash(states, 0, viewOf(last), 0, last.length, out, 0)
  expect(states).toEqual(before)
  return [...out]
}

/**
 * HalfSipHash as its authors write it, word for word and slowly: SipRound on four 32-bit words, one
 * round a word, three to finish; a 128-bit key, and 96 bits of the final state.
 */
function slowHash(parts: readonly Uint8Array[], secret: Uint8Array): number[] {
  const rotl = (x: number, n: number): number => ((x << n) | (x >>> (32 - n))) >>> 0
  const add = (a: number, b: number): number => (a + b) % 2 ** 32
  const xor = (a: number, b: number): number => (a ^ b) >>> 0
  const word = (bytes: Uint8Array): number => bytes.reduceRight((sum, byte) => sum * 256 + byte, 0)
  const k = [0, 4, 8, 12].map((at) => word(secret.subarray(at, at + 4)))
  let [v0, v1, v2, v3] = [k[0]!, k[1]!, xor(k[2]!, 0x6c796765), xor(k[3]!, 0x74656462)]
  const round = (): void => {
    v0 = add(v0, v1)
    v1 = xor(rotl(v1, 5), v0)
    v0 = rotl(v0, 16)
    v2 = add(v2, v3)
    v3 = xor(rotl(v3, 8), v2)
    v0 = add(v0, v3)
    v3 = xor(rotl(v3, 7), v0)
    v2 = add(v2, v1)
    v1 = xor(rotl(v1, 13), v2)
    v2 = rotl(v2, 16)
  }
  const absorb = (w: number): void => {
    v3 = xor(v3, w)
    round()
    v0 = xor(v0, w)
  }
  for (const part of parts.slice(0, -1)) {
    absorb(part.length)
    for (let at = 0; at < part.length; at += 4) absorb(word(part.subarray(at, at + 4)))
  }
  const last = parts.at(-1)!
  const whole = last.length - (last.length % 4)
  for (let at = 0; at < whole; at += 4) absorb(word(last.subarray(at, at + 4)))
  absorb(xor(word(last.subarray(whole)), (last.length % 256) * 2 ** 24))
  v2 = xor(v2, 0xff)
  for (let n = 0; n < 3; n++) round()
  return [xor(v0, v1), xor(v2, v3), xor(v1, v2)].map((w) => w | 0)
}

const part = fc.uint8Array({ maxLength: 40 })

test('is HalfSipHash-1-3 over its parts, each after its length', () => {
  fc.assert(
    fc.property(part, part, part, fc.uint8Array({ minLength: 16, maxLength: 16 }), (a, b, c, s) => {
      expect(hashOf([a, b, c], hashKeyOf(s))).toEqual(slowHash([a, b, c], s))
    }),
    { numRuns: 1000 },
  )
})

test('I5: another split of the same bytes into counter, key and id is another identity', () => {
  const seen = new Set<string>()
  const bytes = Buffer.from('aaaaaaaa')
  for (let i = 0; i <= bytes.length; i++) {
    for (let j = i; j <= bytes.length; j++) {
      seen.add(hashOf([bytes.subarray(0, i), bytes.subarray(i, j), bytes.subarray(j)]).join())
    }
  }
  expect(seen.size).toBe((9 * 10) / 2)
})

test('zeros at the end count: nothing is padded away', () => {
  const hashes = Array.from({ length: 40 }, (_, n) => hashOf([new Uint8Array(n)]).join())
  expect(new Set(hashes).size).toBe(40)
})

function differingBits(a: readonly number[], b: readonly number[]): number[] {
  return a.map((word, i) => ones(word ^ b[i]!))
}

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) count++
  return count
}

test('one bit of an id, or of the secret, changes about half of the bits of each word', () => {
  const id = Buffer.from('0191f3c2-77aa-7c3e-8000-0123456789ab')
  const plain = hashOf([Buffer.from('views'), Buffer.from('v_123'), id])
  const changed: number[][] = []
  for (let bit = 0; bit < id.length * 8; bit++) {
    const other = Buffer.from(id)
    other[bit >> 3]! ^= 1 << (bit & 7)
    changed.push(differingBits(plain, hashOf([Buffer.from('views'), Buffer.from('v_123'), other])))
  }
  for (let bit = 0; bit < 128; bit++) {
    const other = SECRET.slice()
    other[bit >> 3]! ^= 1 << (bit & 7)
    const parts = [Buffer.from('views'), Buffer.from('v_123'), id]
    changed.push(differingBits(plain, hashOf(parts, hashKeyOf(other))))
  }
  for (const word of [0, 1, 2]) {
    const counts = changed.map((bits) => bits[word]!)
    expect(counts.reduce((a, b) => a + b, 0) / counts.length).toBeGreaterThan(15)
    expect(counts.reduce((a, b) => a + b, 0) / counts.length).toBeLessThan(17)
    expect(Math.min(...counts)).toBeGreaterThan(2)
  }
})

test('a table hash spreads numbered keys over the low bits that a table looks at', () => {
  const counts = new Int32Array(256)
  for (let i = 0; i < 25_600; i++) {
    const bytes = Buffer.from(`v_${i}`)
    counts[tableHash(KEY[0]!, viewOf(bytes), 0, bytes.length) & 255]!++
  }
  // 100 each on average: six standard deviations.
  expect(Math.max(...counts)).toBeLessThan(160)
  expect(Math.min(...counts)).toBeGreaterThan(40)
})

test('a secret of another length is refused', () => {
  expect(() => hashKeyOf(new Uint8Array(15))).toThrow(RangeError)
})
