/** A filter of so many bits an id, all of its table included, or fewer. */
const BITS_PER_ID_MAX = 16
const FINGERPRINT_BITS_MAX = 16
const SEGMENT_LENGTH_MAX = 1 << 14
/** A seed fails for about one set in a hundred; so many failures mean that the ids are not hashes. */
const SEEDS_MAX = 64
const TWO_32 = 2 ** 32

/** Where an id's three fingerprints are, set by `locate`. */
const PLACES = new Int32Array(3)

/**
 * Which ids may be in a set that does not change: a binary fuse filter (Graf and Lemire, 2022) over
 * the first two words of their hashes. An id that was put in is always found; of others one in
 * 2^bits is. `add` all, then `build`.
 */
export class FuseFilter {
  #bits = 0
  #mask = 0
  #seed = 0
  #segmentLength = 0
  /** Segments at which the first place of an id may lie. */
  #segments = 0
  /** Fingerprints of `#bits` bits, one behind the other, and one word more. */
  #words = new Int32Array(0)
  /** True when there is no table: then any id may be there. */
  #isOpen = false

  get byteLength(): number {
    return this.#words.byteLength
  }

  /**
   * Of `count` ids: `words` has two for each, sorted by the first, so that ids alike in both, which
   * no filter tells apart, are neighbours or nearly.
   */
  constructor(words: Int32Array, count: number) {
    const keys = distinct(words, count)
    const size = keys.length / 2
    if (size === 0) return
    this.#shape(size)
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      this.#seed = Math.imul(seed, 0x9e3779b1)
      if (this.#fill(keys, size)) return
    }
    this.#words = new Int32Array(0)
    this.#isOpen = true
  }

  /** False for an id that is not in the set, but for one in 2^bits of them. */
  mayHave(h0: number, h1: number): boolean {
    if (this.#words.length === 0) return this.#isOpen
    const a = mix(h0, h1 ^ this.#seed)
    const b = mix(h1, h0 + this.#seed)
    const length = this.#segmentLength
    const first = Math.floor(((a >>> 0) * this.#segments * length) / TWO_32)
    const inSegment = length - 1
    const second = (first + length) ^ (b & inSegment)
    const third = (first + 2 * length) ^ ((b >>> 16) & inSegment)
    const found = this.#read(first) ^ this.#read(second) ^ this.#read(third)
    return (found & this.#mask) === (fingerprint(a, b) & this.#mask)
  }

  /** The published sizes of a table, and as many bits as leave it within its bound. */
  #shape(size: number): void {
    const log = Math.log(Math.max(size, 2))
    const exponent = Math.floor(log / Math.log(3.33) + 2.25)
    const length = Math.min(2 ** exponent, SEGMENT_LENGTH_MAX)
    const factor = Math.max(1.125, 0.875 + (0.25 * Math.log(1e6)) / log)
    const capacity = Math.round(size * factor)
    this.#segmentLength = length
    this.#segments = Math.max(1, Math.ceil(capacity / length) - 2)
    const places = (this.#segments + 2) * length
    const fitting = Math.floor((BITS_PER_ID_MAX * size) / places)
    this.#bits = Math.min(Math.max(fitting, 4), FINGERPRINT_BITS_MAX)
    this.#mask = (1 << this.#bits) - 1
    this.#words = new Int32Array(Math.ceil((places * this.#bits) / 32) + 1)
  }

  /** False when this seed's places do not let every id have one of its own. */
  #fill(keys: Int32Array, size: number): boolean {
    const places = (this.#segments + 2) * this.#segmentLength
    const counts = new Int32Array(places)
    /** All ids of a place, put together by XOR: the id itself once it is the only one. */
    const together = new Int32Array(places)
    for (let key = 0; key < size; key++) {
      this.#locate(keys, key)
      for (const place of PLACES) {
        counts[place]!++
        together[place]! ^= key
      }
    }
    const order = new Int32Array(size)
    const own = new Int32Array(size)
    const alone: number[] = []
    for (let place = 0; place < places; place++) if (counts[place] === 1) alone.push(place)
    let peeled = 0
    for (let place = alone.pop(); place !== undefined; place = alone.pop()) {
      if (counts[place] !== 1) continue
      const key = together[place]!
      order[peeled] = key
      own[peeled++] = place
      this.#locate(keys, key)
      for (const one of PLACES) {
        together[one]! ^= key
        if (--counts[one]! === 1) alone.push(one)
      }
    }
    if (peeled < size) return false
    this.#words.fill(0)
    for (let i = size - 1; i >= 0; i--) this.#write(keys, order[i]!, own[i]!)
    return true
  }

  /** Sets an id's own place so that all three give its fingerprint. */
  #write(keys: Int32Array, key: number, own: number): void {
    this.#locate(keys, key)
    const h0 = keys[2 * key]!
    const h1 = keys[2 * key + 1]!
    const a = mix(h0, h1 ^ this.#seed)
    const b = mix(h1, h0 + this.#seed)
    let value = fingerprint(a, b)
    for (const place of PLACES) value ^= this.#read(place)
    // The own place is still 0, so that it is among those read without a difference.
    const bits = value & this.#mask
    const at = own * this.#bits
    const shift = at & 31
    this.#words[at >>> 5]! |= bits << shift
    if (shift + this.#bits > 32) this.#words[(at >>> 5) + 1]! |= bits >>> (32 - shift)
  }

  #locate(keys: Int32Array, key: number): void {
    const h0 = keys[2 * key]!
    const h1 = keys[2 * key + 1]!
    const a = mix(h0, h1 ^ this.#seed)
    const b = mix(h1, h0 + this.#seed)
    const length = this.#segmentLength
    const first = Math.floor(((a >>> 0) * this.#segments * length) / TWO_32)
    PLACES[0] = first
    PLACES[1] = (first + length) ^ (b & (length - 1))
    PLACES[2] = (first + 2 * length) ^ ((b >>> 16) & (length - 1))
  }

  /** The bits from a place's on; those above its own are others'. */
  #read(place: number): number {
    const at = place * this.#bits
    const word = at >>> 5
    const shift = at & 31
    // In two steps, because a shift by 32 is none.
    return (this.#words[word]! >>> shift) | ((this.#words[word + 1]! << 1) << (31 - shift))
  }
}

/** The ids without those that have both words of one before. */
function distinct(words: Int32Array, count: number): Int32Array {
  const keys = new Int32Array(2 * count)
  let size = 0
  for (let i = 0; i < count; i++) {
    const h0 = words[2 * i]!
    const h1 = words[2 * i + 1]!
    let isKnown = false
    for (let j = size - 1; j >= 0 && keys[2 * j] === h0 && !isKnown; j--) {
      isKnown = keys[2 * j + 1] === h1
    }
    if (isKnown) continue
    keys[2 * size] = h0
    keys[2 * size + 1] = h1
    size++
  }
  return keys.subarray(0, 2 * size)
}

/** Hashes share their first bits within a filter, so their bits are spread once more. */
function mix(x: number, y: number): number {
  let h = Math.imul(x ^ (y >>> 15), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13) ^ y, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function fingerprint(a: number, b: number): number {
  return Math.imul(a ^ (b >>> 7) ^ (b << 19), 0x9e3779b1) >>> 16
}
