import assert from 'node:assert/strict'
import { PAGE_SHIFT, PAGE_SLOTS } from '@countersink/shared/page-format'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LogModel, type Entry } from './log-model.ts'
import { TailState } from './tail-state.ts'
import { TotalPages, type CachedPage, type ReadPage } from './total-pages.ts'
import { sumWindows, type WindowRange, type WindowsRead } from './window-sums.ts'

/** I13 and I14 from the reader's side: page + dirt is the oracle's fold at the same position. */

const SIZES = [60, 300]
const RANGE_END = 900
const COUNTERS = 2
const SLOTS = [0, PAGE_SLOTS - 1, PAGE_SLOTS]
const LIMITS = { entriesMax: 40, pruneEntriesMin: 2 }
/** Room for five pages of eight, so that they come and go. */
const PAGE_CACHE_BYTES = 5 * (PAGE_SLOTS * 8 + 276)
const HUGE = 2n ** 63n - 1n

const delta = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: -5n, max: 5n }) },
  { weight: 1, arbitrary: fc.constantFrom(HUGE, -HUGE, HUGE * 3n) },
)
const entry: fc.Arbitrary<Entry> = fc.record({
  counter: fc.integer({ min: 1, max: COUNTERS }),
  slot: fc.constantFrom(...SLOTS),
  start: fc.integer({ min: 0, max: RANGE_END / 60 - 1 }).map((i) => i * 60),
  delta,
})
const which = fc.constantFrom('total' as const, 'windows' as const)
const partition = fc.nat(1)
const commitsMax = fc.integer({ min: 1, max: 4 })
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      partition,
      offsets: fc.integer({ min: 1, max: 5 }),
      entries: fc.array(entry, { maxLength: 6 }),
      large: fc.nat(9).map((n) => n === 0),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('poll' as const), commitsMax }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('write' as const), partition, entry, which }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('flush' as const), partition }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('raise' as const), partition }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('read-page' as const), partition, entry }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read-windows' as const),
      partition,
      entry,
      size: fc.constantFrom(...SIZES),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

type PendingWindows = { partition: number; entry: Entry; range: WindowRange; read: WindowsRead }

/** A reader over two partitions, whose reads and polls see the database at moments of their own. */
class Reader {
  logs = [new LogModel(0, SIZES), new LogModel(1, SIZES)]
  pages = new TotalPages(PAGE_CACHE_BYTES)
  state = this.load()
  pendingPages: ReadPage[] = []
  pendingWindows: PendingWindows[] = []
  /** As requests under way hold pages that the cache may lose meanwhile. */
  held: CachedPage[] = []
  checks = 0

  load(): TailState {
    this.pages = new TotalPages(PAGE_CACHE_BYTES)
    const state = new TailState(
      1,
      this.logs.map((log) => log.loaded()),
      LIMITS,
      (...delta) => this.pages.absorb(...delta),
    )
    this.pages.attend(state)
    return state
  }

  reload(): void {
    this.pendingPages = []
    this.pendingWindows = []
    this.held = []
    this.state = this.load()
  }

  log(partition: number): LogModel {
    return this.logs[partition]!
  }

  poll(commitsMax: number): void {
    const polled = this.logs.map((log) => log.polled(this.state.next(log.partition), commitsMax))
    const applied = this.state.apply(polled)
    if (applied.kind === 'reload') this.reload()
    else assert.ok(this.state.entries <= LIMITS.entriesMax)
  }

  take(step: Step): void {
    if (step.kind === 'commit') {
      this.log(step.partition).commit(step.offsets, step.entries, step.large)
    } else if (step.kind === 'poll') this.poll(step.commitsMax)
    else if (step.kind === 'write') this.log(step.partition).writePages(step.entry, step.which)
    else if (step.kind === 'raise') this.log(step.partition).raiseFloor()
    else if (step.kind === 'reload') this.reload()
    else if (step.kind === 'flush') {
      this.log(step.partition).writeAll()
      this.log(step.partition).raiseFloor()
    } else if (step.kind === 'read-page') {
      const { counter, slot } = step.entry
      this.pendingPages.push(this.log(step.partition).readPage(counter, slot >> PAGE_SHIFT))
    } else if (step.kind === 'put') {
      for (const read of this.pendingPages.splice(0)) {
        const page = this.pages.put(read)
        if (page !== undefined) this.held.push(page)
      }
    } else this.readWindows(step.partition, step.entry, step.size)
  }

  readWindows(partition: number, entry: Entry, size: number): void {
    const range = { size, from: 0, to: RANGE_END }
    const tailBase = this.state.base(partition)
    const { slot } = entry
    const read = this.log(partition).readWindows(
      entry.counter,
      { partition, slot },
      range,
      tailBase,
    )
    this.pendingWindows.push({ partition, entry, range, read })
  }

  /** Every page in the cache, and every read of windows not used yet, against the oracle. */
  check(): void {
    for (const log of this.logs) {
      for (let counter = 1; counter <= COUNTERS; counter++) {
        for (const slot of SLOTS) {
          this.checkTotal(this.pages.get(counter, log.partition, slot >> PAGE_SHIFT), slot)
        }
      }
    }
    for (const page of this.held) {
      for (const slot of SLOTS) if (slot >> PAGE_SHIFT === page.page) this.checkTotal(page, slot)
    }
    for (const pending of this.pendingWindows) this.checkWindows(pending)
  }

  checkTotal(page: CachedPage | undefined, slot: number): void {
    const total = page === undefined ? 'stale' : this.pages.total(page, slot)
    if (page === undefined || total === 'stale' || 'waitFor' in total) return
    const { counter, partition } = page
    const folded = this.log(partition).fold(counter, slot, this.state.next(partition))
    assert.equal(total.sum, sum(folded.values()))
    this.checks++
  }

  checkWindows({ partition, entry, range, read }: PendingWindows): void {
    const { counter, slot } = entry
    const got = sumWindows(this.state, counter, [{ partition, slot }], range, read)
    if (got.kind !== 'sums') return
    const want = new Map<number, bigint>()
    for (const [start, delta] of this.log(partition).fold(
      counter,
      slot,
      this.state.next(partition),
    )) {
      const from = start - (start % range.size)
      want.set(from, (want.get(from) ?? 0n) + delta)
    }
    assert.deepEqual(withoutZeros(got.sums), withoutZeros(want))
    this.checks++
  }

  /** After everything: fresh reads of everything must come to an answer, and the right one. */
  finish(): void {
    for (let i = 0; i < 200 && this.logs.some((l) => this.state.next(l.partition) < l.next); i++) {
      this.poll(4)
    }
    this.pendingWindows = []
    for (const log of this.logs) {
      assert.equal(this.state.next(log.partition), log.next)
      for (let counter = 1; counter <= COUNTERS; counter++) {
        for (const slot of SLOTS) {
          const entry = { counter, slot, start: 0, delta: 0n }
          for (const size of SIZES) this.readWindows(log.partition, entry, size)
        }
      }
    }
    const before = this.checks
    this.check()
    assert.ok(this.checks - before >= this.pendingWindows.length)
  }
}

function sum(values: Iterable<bigint>): bigint {
  let total = 0n
  for (const value of values) total += value
  return total
}

function withoutZeros(sums: ReadonlyMap<number, bigint>): [number, bigint][] {
  return [...sums].filter(([, delta]) => delta !== 0n).toSorted(([a], [b]) => a - b)
}

test("I13, I14: totals and windows equal the oracle at the tail's position, whatever the order of commits, page writes, floors, polls, reads and reloads", () => {
  let checks = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      const reader = new Reader()
      for (const one of steps) {
        reader.take(one)
        reader.check()
      }
      reader.finish()
      checks += reader.checks
    }),
    { numRuns: 400 },
  )
  expect(checks).toBeGreaterThan(10_000)
})
