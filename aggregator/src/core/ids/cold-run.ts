import { FuseFilter } from './fuse-filter.ts'
import { ID_WORDS } from './id-shape.ts'

/** Ids of a filter, about: it is built in some 10 ms, in one turn. */
const IDS_PER_FILTER_MAX = 49_152
const FILTERS_MAX = 2 ** 16

/** Which ids of a bucket are in Postgres: those that it had at one moment. */
export type ColdRunKey = {
  /** Ordinal of the counter. */
  readonly counter: number
  /** Of the bucket, epoch milliseconds. */
  readonly end: number
  /** They are all in commits that begin before this offset. */
  readonly through: number
}

/**
 * Ids of one bucket that are in Postgres only, sorted by hash; here are filters by the first bits of
 * the hash, of two bytes an id at most, which say which ones may be there.
 */
export class ColdRun implements ColdRunKey {
  readonly counter: number
  readonly end: number
  readonly through: number
  count = 0
  /** True when its bucket is forgotten. */
  isDead = false
  readonly #filters: FuseFilter[]
  readonly #shift: number

  constructor({ counter, end, through }: ColdRunKey, filters: FuseFilter[], shift: number) {
    this.counter = counter
    this.end = end
    this.through = through
    this.#filters = filters
    this.#shift = shift
  }

  get byteLength(): number {
    return this.#filters.reduce((sum, filter) => sum + filter.byteLength, 0)
  }

  mayHave(h0: number, h1: number): boolean {
    // Two steps, because a shift by 32 is none.
    return this.#filters[(h0 >>> 1) >>> (this.#shift - 1)]!.mayHave(h0, h1)
  }
}

/** Builds a run from all of its ids, given in the order of their hashes. */
export class ColdRunBuilder {
  count = 0
  readonly #key: ColdRunKey
  readonly #filters: FuseFilter[] = []
  /** Hashes without so many last bits tell the filter. */
  readonly #shift: number
  #words = new Int32Array(2 * 1024)
  /** How many ids wait for their filter. */
  #waiting = 0

  constructor(key: ColdRunKey, count: number) {
    this.#key = key
    let filters = 1
    while (count > filters * IDS_PER_FILTER_MAX && filters < FILTERS_MAX) filters *= 2
    this.#shift = 32 - Math.log2(filters)
  }

  /** Adds the first `count` of `words`, four words an id; none may have a smaller hash than before. */
  add(words: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const h0 = words[i * ID_WORDS]!
      const filter = (h0 >>> 1) >>> (this.#shift - 1)
      while (this.#filters.length < filter) this.#build()
      if (2 * this.#waiting === this.#words.length) {
        const more = new Int32Array(4 * this.#waiting)
        more.set(this.#words)
        this.#words = more
      }
      this.#words[2 * this.#waiting] = h0
      this.#words[2 * this.#waiting + 1] = words[i * ID_WORDS + 1]!
      this.#waiting++
    }
    this.count += count
  }

  /** The run of all that was added. */
  end(): ColdRun {
    const filters = 2 ** (32 - this.#shift)
    while (this.#filters.length < filters) this.#build()
    const run = new ColdRun(this.#key, this.#filters, this.#shift)
    run.count = this.count
    return run
  }

  #build(): void {
    this.#filters.push(new FuseFilter(this.#words, this.#waiting))
    this.#waiting = 0
  }
}
