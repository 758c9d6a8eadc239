import { COUNT, type IdSegments, RECORD_WORDS, SHAPE } from './id-segments.ts'
import { bucketOf, depthOf, extraOf, ID_WORDS, mask0Of } from './id-shape.ts'

/** More than a segment has, so that a place fits behind the first word in one number. */
const SEGMENT_IDS_MAX = 1024
const TWO_32 = 2 ** 32

/**
 * Reads the ids of one bucket in the order of their hashes, segment by segment: a segment has those
 * with the same first bits. Between two calls of `next` others may be inserted and segments cut in
 * two; the bucket itself must not change.
 */
export class IdBucketReader {
  /** The ids of the last call, four words each, sorted by the first as a number without a sign. */
  words = new Int32Array(SEGMENT_IDS_MAX * ID_WORDS)
  count = 0
  /** False when of the third words of these the last 14 bits are not known. */
  isWhole = true
  readonly #segments: IdSegments
  readonly #bucket: number
  readonly #keys = new Float64Array(SEGMENT_IDS_MAX)
  readonly #unsorted = new Int32Array(SEGMENT_IDS_MAX * ID_WORDS)
  /** Hashes below are read. */
  #from = 0

  constructor(segments: IdSegments, bucket: number) {
    this.#segments = segments
    this.#bucket = bucket
  }

  /** Reads on by one segment; false when all are read. */
  next(): boolean {
    if (this.#from >= TWO_32) return false
    const { records, directory, shift, ids } = this.#segments
    const entry = Math.floor(this.#from / 2 ** shift)
    const base = directory[entry]! * RECORD_WORDS
    const shape = records[base + SHAPE]!
    const shared = (entry << shift) & ~mask0Of(shape)
    this.isWhole = extraOf(shape) === 0
    let count = 0
    for (let number = 0; number < records[base + COUNT]!; number++) {
      const start = this.#segments.placeOf(base, number)
      const slab = ids.slabOf(start)
      const place = ids.placeOf(start)
      if (bucketOf(slab[place]!, slab[place + 2]!, shape) !== this.#bucket) continue
      const h0 = (slab[place]! & mask0Of(shape)) | shared
      const at = count * ID_WORDS
      this.#unsorted[at] = h0
      this.#unsorted[at + 1] = slab[place + 1]!
      this.#unsorted[at + 2] = slab[place + 2]!
      this.#unsorted[at + 3] = slab[place + 3]!
      this.#keys[count] = (h0 >>> 0) * SEGMENT_IDS_MAX + count
      count++
    }
    this.#sort(count)
    this.#from += 2 ** (32 - depthOf(shape))
    return true
  }

  #sort(count: number): void {
    this.count = count
    const keys = this.#keys.subarray(0, count).sort()
    for (let i = 0; i < count; i++) {
      const from = (keys[i]! % SEGMENT_IDS_MAX) * ID_WORDS
      for (let word = 0; word < ID_WORDS; word++) {
        this.words[i * ID_WORDS + word] = this.#unsorted[from + word]!
      }
    }
  }
}
