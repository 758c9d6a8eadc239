import type pg from 'pg'
import { parseSeriesName, type SeriesDictionary } from '../core/series/series-dictionary.ts'
import { sortedSlots } from '../core/series/series-order.ts'
import type { RunChange, SeriesRun } from '../core/series/series-runs.ts'
import { bigInt8ArrayParameter, int4ArrayParameter, int4s } from './binary-arrays.ts'
import { movedPartitions } from './moved.ts'
import { filterWords, type Place } from './run-filters.ts'
import { TextArray } from './text-arrays.ts'

/** Of keys, slots and dims in a block: two rows with so many fill a page of Postgres. */
const BLOCK_BYTES_MAX = 3800
/** What an array takes for an element beside its bytes, and its slot. */
const SERIES_BYTES = 12
/** What jsonb takes for the dims of a series beside the length of their text, more or less. */
const DIMS_BYTES = 32
const SLOTS_INITIAL = 1024
/** What a commit with more names has taken is let go of. */
const SLOTS_KEPT_MAX = 2 ** 18

const COMMA = 44
const BRACE_OPEN = 123
const BRACE_CLOSE = 125
/** In the place of the dims of a series that has none. */
const NULL = Buffer.from('NULL')

/**
 * The names of new series as the parameters of two statements, which can be sent again as they are:
 * one deletes the runs that others take the place of, one writes runs, block by block. From the
 * bytes of the dictionary, with no object or string a series unless it has dims.
 */
export class SeriesRows {
  readonly #schema: string
  #replaced: (Place & SeriesRun)[] = []
  #blocks: (Place & SeriesRun & { block: number; end: number; filterEnd: number })[] = []
  readonly #fromKeys = new TextArray()
  /** Each element the text form of an array. */
  readonly #keys = new TextArray()
  readonly #dims = new TextArray()
  #slots = new Int32Array(SLOTS_INITIAL)
  #length = 0
  #rewritten = 0
  /** The words of the runs' filters, one behind the other. */
  #filters: bigint[] = []
  /** Of the open block, once one of its series has any. */
  #blockDims: (Buffer | undefined)[] | undefined

  constructor(schema: string) {
    this.#schema = schema
  }

  begin(): void {
    this.#replaced = []
    this.#blocks = []
    this.#fromKeys.begin()
    this.#keys.begin()
    this.#dims.begin()
    if (this.#slots.length > SLOTS_KEPT_MAX) this.#slots = new Int32Array(SLOTS_INITIAL)
    this.#length = 0
    this.#filters = []
    this.#rewritten = 0
  }

  /** So many stored names are written again. */
  get rewritten(): number {
    return this.#rewritten
  }

  add(place: Place, dictionary: SeriesDictionary, { stored, runs }: RunChange): void {
    const first = runs[0]!.first
    if (first < stored) {
      this.#replaced.push({ ...place, first, until: stored })
      this.#rewritten += stored - first
    }
    for (const run of runs) this.#addRun(place, dictionary, run)
  }

  /** Two statements at most, to be run in this order. */
  statements(moved: readonly unknown[]): pg.QueryConfig[] {
    const statements: pg.QueryConfig[] = []
    if (this.#replaced.length > 0) statements.push(this.#deleteReplaced(moved))
    if (this.#blocks.length > 0) statements.push(this.#insertBlocks(moved))
    return statements
  }

  #addRun(place: Place, dictionary: SeriesDictionary, run: SeriesRun): void {
    const sorted = sortedSlots(dictionary, run.first, run.until)
    this.#slots = roomFor(this.#slots, this.#length, sorted.length)
    for (const word of filterWords(dictionary, run)) this.#filters.push(word)
    let block = 0
    let blockStart = this.#length
    let blockBytes = 0
    for (const slot of sorted) {
      const keyEnd = dictionary.keyEndOf(slot)
      const dims = keyEnd === dictionary.endOf(slot) ? undefined : dimsOf(dictionary.name(slot))
      const dimsSize = dims === undefined ? 0 : DIMS_BYTES + dims.length
      const size = SERIES_BYTES + keyEnd - dictionary.startOf(slot) + dimsSize
      if (this.#length > blockStart && blockBytes + size > BLOCK_BYTES_MAX) {
        this.#closeBlock(place, run, block++)
        blockStart = this.#length
        blockBytes = 0
      }
      if (this.#length === blockStart) this.#openBlock(dictionary, slot, block)
      else this.#keys.addCode(COMMA)
      this.#keys.addQuoted(dictionary.bytes, dictionary.startOf(slot), keyEnd)
      if (dims !== undefined) this.#blockDims ??= Array.from({ length: this.#length - blockStart })
      this.#blockDims?.push(dims)
      this.#slots[this.#length++] = slot
      blockBytes += size
    }
    this.#closeBlock(place, run, block)
  }

  #openBlock(dictionary: SeriesDictionary, slot: number, block: number): void {
    this.#fromKeys.open()
    if (block > 0) {
      const { bytes } = dictionary
      this.#fromKeys.addBytes(bytes, dictionary.startOf(slot), dictionary.keyEndOf(slot))
    }
    this.#fromKeys.close()
    this.#keys.open()
    this.#keys.addCode(BRACE_OPEN)
  }

  #closeBlock(place: Place, run: SeriesRun, block: number): void {
    this.#keys.addCode(BRACE_CLOSE)
    this.#keys.close()
    const filterEnd = this.#filters.length
    this.#blocks.push({ ...place, ...run, block, end: this.#length, filterEnd })
    if (this.#blockDims === undefined) return this.#dims.addNull()
    this.#dims.open()
    this.#dims.addCode(BRACE_OPEN)
    for (const [i, dims] of this.#blockDims.entries()) {
      if (i > 0) this.#dims.addCode(COMMA)
      if (dims === undefined) this.#dims.addBytes(NULL, 0, NULL.length)
      else this.#dims.addQuoted(dims, 0, dims.length)
    }
    this.#dims.addCode(BRACE_CLOSE)
    this.#dims.close()
    this.#blockDims = undefined
  }

  #deleteReplaced(moved: readonly unknown[]): pg.QueryConfig {
    const s = this.#schema
    const runs = this.#replaced
    return {
      name: `delete-runs-${s}`,
      text: `with ${movedPartitions(s)}
        delete from ${s}.series_runs r
        using unnest($4::int[], $5::int[], $6::int[], $7::int[]) u (counter, partition, first, until)
          join moved using (partition)
        where r.counter = u.counter and r.partition = u.partition
          and r.first >= u.first and r.first < u.until`,
      values: [
        ...moved,
        int4s(runs.map(({ counter }) => counter)),
        int4s(runs.map(({ partition }) => partition)),
        int4s(runs.map(({ first }) => first)),
        int4s(runs.map(({ until }) => until)),
      ],
    }
  }

  /** Postgres takes 0.5 us a name so; cut out of one array of all of them it would be quadratic. */
  #insertBlocks(moved: readonly unknown[]): pg.QueryConfig {
    const s = this.#schema
    const rows = this.#blocks
    return {
      name: `insert-runs-${s}`,
      text: `with ${movedPartitions(s)}
        insert into ${s}.series_runs
          (counter, partition, first, until, from_key, block, keys, slots, dims, filter)
        select u.counter, u.partition, u.first, u.until, u.from_key, u.block, u.keys::text[],
          ($14::int[])[u.slots_lo : u.slots_hi], u.dims::jsonb[],
          nullif(($17::bigint[])[u.filter_lo : u.filter_hi], '{}')
        from unnest($4::int[], $5::int[], $6::int[], $7::int[], $8::text[], $9::int[], $10::text[],
          $11::text[], $12::int[], $13::int[], $15::int[], $16::int[])
          u (counter, partition, first, until, from_key, block, keys, dims, slots_lo, slots_hi,
            filter_lo, filter_hi)
        join moved using (partition)`,
      values: [
        ...moved,
        int4s(rows.map(({ counter }) => counter)),
        int4s(rows.map(({ partition }) => partition)),
        int4s(rows.map(({ first }) => first)),
        int4s(rows.map(({ until }) => until)),
        this.#fromKeys.parameter(),
        int4s(rows.map(({ block }) => block)),
        this.#keys.parameter(),
        this.#dims.parameter(),
        int4s(rows.map((_, row) => (rows[row - 1]?.end ?? 0) + 1)),
        int4s(rows.map(({ end }) => end)),
        int4ArrayParameter(this.#slots, 0, this.#length),
        // Only a run's first block has any of it: the others begin where it has ended.
        int4s(rows.map((_, row) => (rows[row - 1]?.filterEnd ?? 0) + 1)),
        int4s(rows.map(({ filterEnd }) => filterEnd)),
        bigInt8ArrayParameter(this.#filters),
      ],
    }
  }
}

/** JSON, UTF-8. */
function dimsOf(name: Uint8Array): Buffer {
  return Buffer.from(JSON.stringify(parseSeriesName(name).dims))
}

function roomFor(slots: Int32Array<ArrayBuffer>, length: number, more: number) {
  if (length + more <= slots.length) return slots
  const larger = new Int32Array(Math.max(2 * slots.length, length + more))
  larger.set(slots)
  return larger
}
