import { PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import type pg from 'pg'

/** One event as the fixture commits it. */
export type FixtureEvent = { key: string; dims?: Record<string, string>; at: number; delta: bigint }

export type CommitOptions = {
  offsets?: number
  /** 'all' writes every dirty page and raises the floor, as an aggregator that catches up does. */
  pages?: 'none' | 'some' | 'all'
  clock?: number
  outcomes?: Buffer
}

type Entry = { slot: number; start: number; delta: bigint }
type Commit = { first: number; next: number; entries: readonly Entry[] }

/** How many slots a page holds, and the tables it stands in. */
export type PageLayout = { slots: number; totals: string; windows: string }

const PAGES: PageLayout = {
  slots: PAGE_SLOTS,
  totals: 'total_pages_512',
  windows: 'window_pages_512',
}
/** Before migration 0005. */
export const PAGES_OF_256: PageLayout = {
  slots: 256,
  totals: 'total_pages_256',
  windows: 'window_pages_256',
}
/** Before migration 0003. */
export const PAGES_OF_128: PageLayout = {
  slots: 128,
  totals: 'total_pages',
  windows: 'window_pages',
}

const FINEST = 60_000
const SIZES = [FINEST, 3_600_000]

/**
 * Writes one partition's log and pages of one counter by plain SQL, as the schema's rules allow and
 * no aggregator would: pages folded to anywhere, floors that lag. It keeps everything, so that any
 * sum at any position is a plain fold.
 */
export class FixturePartition {
  readonly partition: number
  readonly schema: string
  readonly counter: number
  next = 0
  floor = 0
  readonly #layout: PageLayout
  #commits: Commit[] = []
  #slots = new Map<string, number>()
  #newSeries: { slot: number; key: string; dims: Record<string, string> }[] = []
  /** `page` and `page/size/start` -> place in the page -> sum. */
  #sums = new Map<string, Map<number, bigint>>()
  /** The same -> the first offset of the oldest commit that the stored page lacks. */
  #dirty = new Map<string, number>()

  constructor(schema: string, partition: number, counter: number, layout: PageLayout) {
    this.#layout = layout
    this.schema = schema
    this.partition = partition
    this.counter = counter
  }

  /** The oracle: the sums by finest window of a series before offset `position`. */
  windowsAt(key: string, position: number, dims: Record<string, string> = {}): Map<number, bigint> {
    const sums = new Map<number, bigint>()
    const slot = this.#slots.get(seriesKey(key, dims))
    for (const { first, entries } of this.#commits) {
      if (first >= position) break
      for (const entry of entries) {
        if (entry.slot !== slot) continue
        sums.set(entry.start, (sums.get(entry.start) ?? 0n) + entry.delta)
      }
    }
    return sums
  }

  totalAt(key: string, position: number, dims: Record<string, string> = {}): bigint {
    let total = 0n
    for (const delta of this.windowsAt(key, position, dims).values()) total += delta
    return total
  }

  async create(client: pg.ClientBase): Promise<void> {
    const { schema, partition } = this
    await client.query(
      `insert into ${schema}.partitions (partition, start, next, floor, ids_floor, token, owner)
       values ($1, 0, 0, 0, 0, gen_random_uuid(), 'fixture')`,
      [partition],
    )
  }

  /** One transaction: series, the commit with its deltas, pages, and the partition's row. */
  async commit(
    client: pg.ClientBase,
    events: readonly FixtureEvent[],
    options: CommitOptions = {},
  ): Promise<void> {
    const first = this.next
    const next = first + (options.offsets ?? Math.max(1, events.length))
    await client.query('begin')
    const entries = events.map(({ key, dims = {}, at, delta }) => {
      return { slot: this.#slotOf(key, dims), start: at - (at % FINEST), delta }
    })
    for (const entry of entries) this.#addToPages(first, entry)
    this.#commits.push({ first, next, entries })
    this.next = next
    await this.#insertSeries(client)
    await this.#insertCommit(client, first, events.length, options)
    await this.#insertDeltas(client, first, entries)
    await this.#writePages(client, options.pages ?? 'none')
    await client.query(
      `update ${this.schema}.partitions set next = $2, floor = $3, seen_at = now(),
         read = read + $4, applied = applied + $4 where partition = $1`,
      [this.partition, next, this.floor, events.length],
    )
    await client.query('commit')
  }

  #slotOf(key: string, dims: Record<string, string>): number {
    const name = seriesKey(key, dims)
    const known = this.#slots.get(name)
    if (known !== undefined) return known
    const slot = this.#slots.size
    this.#slots.set(name, slot)
    this.#newSeries.push({ slot, key, dims })
    return slot
  }

  /** One a row in the databases of before; else as a run of one block. */
  async #insertSeries(client: pg.ClientBase): Promise<void> {
    const series = this.#newSeries.splice(0)
    if (series.length === 0) return
    if (this.#layout !== PAGES) {
      const rows = series.map(({ slot, key, dims }) => {
        return [this.counter, this.partition, slot, key, JSON.stringify(dims)]
      })
      return insert(client, `${this.schema}.series (counter, partition, slot, key, dims)`, rows)
    }
    const first = series[0]!.slot
    const sorted = series.toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    const place = [this.counter, this.partition, first, first + series.length, '', 0]
    const columns = [sorted.map(({ key }) => key), sorted.map(({ slot }) => slot)]
    const dims = sorted.map((one) => JSON.stringify(one.dims))
    await insert(
      client,
      `${this.schema}.series_runs
         (counter, partition, first, until, from_key, block, keys, slots, dims)`,
      [[...place, ...columns, dims]],
    )
  }

  #addToPages(first: number, entry: Entry): void {
    const { slots } = this.#layout
    const at = entry.slot % slots
    for (const key of pageKeys(Math.floor(entry.slot / slots), entry.start)) {
      const sums = this.#sums.get(key) ?? new Map<number, bigint>()
      this.#sums.set(key, sums)
      sums.set(at, (sums.get(at) ?? 0n) + entry.delta)
      if (!this.#dirty.has(key)) this.#dirty.set(key, first)
    }
  }

  async #insertCommit(
    client: pg.ClientBase,
    first: number,
    read: number,
    { clock, outcomes }: CommitOptions,
  ): Promise<void> {
    const clocks = clock === undefined ? [] : [this.counter, clock]
    await client.query(
      `insert into ${this.schema}.commits (partition, first, next, read, applied, duplicate,
         conflict, late, invalid, clocks, ids, outcomes)
       values ($1, $2, $3, $4, $4, 0, 0, 0, 0, $5, '', $6)`,
      [this.partition, first, this.next, read, clocks, outcomes ?? Buffer.alloc(0)],
    )
    if (clock === undefined) return
    await client.query(
      `insert into ${this.schema}.partition_counters (partition, counter, ordinal, clock)
       values ($1, $2, 0, $3)
       on conflict (partition, counter) do update set clock = excluded.clock`,
      [this.partition, this.counter, clock],
    )
  }

  async #insertDeltas(
    client: pg.ClientBase,
    first: number,
    entries: readonly Entry[],
  ): Promise<void> {
    const rows: unknown[][] = []
    for (const [start, slots] of grouped(entries, (entry) => entry.start)) {
      const sums = new Map<number, bigint>()
      for (const { slot, delta } of slots) sums.set(slot, (sums.get(slot) ?? 0n) + delta)
      const limbs = [...sums.values()].map(toLimbs)
      const place = [this.partition, first, this.counter, start]
      rows.push([...place, [...sums.keys()], ...sumColumns(limbs)])
    }
    const columns = 'partition, first, counter, start, slots, small_deltas, deltas, carries'
    await insert(client, `${this.schema}.window_deltas (${columns})`, rows)
  }

  async #writePages(client: pg.ClientBase, which: 'none' | 'some' | 'all'): Promise<void> {
    if (which === 'none') return
    const totals: unknown[][] = []
    const windows: unknown[][] = []
    for (const key of [...this.#dirty.keys()]) {
      if (which === 'some' && Math.random() < 0.5) continue
      const [page = 0, size, start] = key.split('/').map(Number)
      const sums = this.#sums.get(key) ?? new Map<number, bigint>()
      if (size === undefined) totals.push(this.#totalsRow(page, sums))
      else windows.push(this.#windowsRow(page, size, start ?? 0, sums))
      this.#dirty.delete(key)
    }
    this.floor = Math.min(this.next, ...this.#dirty.values())
    await insert(
      client,
      `${this.schema}.${this.#layout.totals}
         (counter, partition, page, next, small_totals, totals, carries)`,
      totals,
      `on conflict (counter, partition, page) do update
       set next = excluded.next, small_totals = excluded.small_totals, totals = excluded.totals,
         carries = excluded.carries`,
    )
    await insert(
      client,
      `${this.schema}.${this.#layout.windows}
         (counter, partition, page, size, start, next, slots, small_deltas, deltas, carries)`,
      windows,
      `on conflict (counter, partition, page, size, start) do update set next = excluded.next,
         slots = excluded.slots, small_deltas = excluded.small_deltas, deltas = excluded.deltas,
         carries = excluded.carries`,
    )
  }

  #totalsRow(page: number, sums: ReadonlyMap<number, bigint>): unknown[] {
    const { slots } = this.#layout
    const limbs = Array.from({ length: slots }, (_, at) => toLimbs(sums.get(at) ?? 0n))
    return [this.counter, this.partition, page, this.next, ...sumColumns(limbs)]
  }

  #windowsRow(
    page: number,
    size: number,
    start: number,
    sums: ReadonlyMap<number, bigint>,
  ): unknown[] {
    const kept = [...sums].filter(([, sum]) => sum !== 0n)
    const limbs = kept.map(([, sum]) => toLimbs(sum))
    const slots = kept.map(([at]) => at)
    const place = [this.counter, this.partition, page, size, start, this.next]
    return [...place, slots, ...sumColumns(limbs)]
  }
}

/** All rows in one statement. */
async function insert(
  client: pg.ClientBase,
  into: string,
  rows: readonly unknown[][],
  onConflict = '',
): Promise<void> {
  if (rows.length === 0) return
  const values = rows.map((row, i) => {
    return `(${row.map((_, j) => `$${i * row.length + j + 1}`).join(', ')})`
  })
  await client.query(`insert into ${into} values ${values.join(', ')} ${onConflict}`, rows.flat(1))
}

/** Makes a counter with its window sizes and the rows of its partitions, `firstPartition` and on. */
export async function createFixture(
  client: pg.ClientBase,
  generation: number,
  counter: string,
  partitions: number,
  firstPartition = 0,
  layout = PAGES,
): Promise<FixturePartition[]> {
  const schema = `countersink_${generation}`
  const { rows } = await client.query<{ counter: number }>(
    `insert into ${schema}.counters (name) values ($1) returning counter`,
    [counter],
  )
  const id = rows[0]?.counter ?? 0
  await client.query(
    `insert into ${schema}.window_sizes (counter, size) select $1, unnest($2::bigint[])`,
    [id, SIZES],
  )
  const made = Array.from({ length: partitions }, (_, i) => {
    return new FixturePartition(schema, firstPartition + i, id, layout)
  })
  for (const partition of made) await partition.create(client)
  return made
}

function seriesKey(key: string, dims: Record<string, string>): string {
  return JSON.stringify([key, dims])
}

function pageKeys(page: number, start: number): string[] {
  return [`${page}`, ...SIZES.map((size) => `${page}/${size}/${start - (start % size)}`)]
}

type Limbs = ReturnType<typeof toLimbs>

/** As int4 or as int8 where both would do, whichever comes: readers have to take both. */
function sumColumns(
  limbs: readonly Limbs[],
): [smalls: bigint[] | null, lows: bigint[] | null, carries: bigint[] | null] {
  const lows = limbs.map(({ low }) => low)
  const isWide = limbs.some(({ carry }) => carry !== 0n)
  const isSmall = !isWide && lows.every((low) => BigInt.asIntN(32, low) === low)
  if (isSmall && Math.random() < 0.5) return [lows, null, null]
  return [null, lows, isWide ? limbs.map(({ carry }) => carry) : null]
}

function grouped<T>(values: readonly T[], keyOf: (value: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const value of values) {
    const group = groups.get(keyOf(value))
    if (group === undefined) groups.set(keyOf(value), [value])
    else group.push(value)
  }
  return groups
}
