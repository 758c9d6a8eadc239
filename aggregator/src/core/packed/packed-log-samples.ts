import assert from 'node:assert/strict'
import { parseContracts } from '@countersink/shared/contracts'
import {
  encodeRecordBatch,
  noStamp,
  type ProducerRecord,
} from '@countersink/shared/kafka/record-batch-encoder'
import { readOutcomes } from '@countersink/shared/outcomes'
import { packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { PAGE_SLOTS } from '@countersink/shared/page-format'
import { parseSdkId } from '@countersink/shared/sdk-id'
import fc from 'fast-check'
import { fetchedFrom } from '../../../../test/log-batches.ts'
import { type OracleEvent } from '../../../../test/oracle/oracle.ts'
import { BatchFold } from '../batch-fold.ts'
import type { ColdStore } from '../ids/cold-samples.ts'
import type { PartitionState } from '../partition-state.ts'
import { emptyState, seal } from '../state-samples.ts'

/* For tests: logs in which the same events are JSON, packed, or packed as text. */

export const CONTRACT = {
  latenessMs: 8000,
  windowSizesMs: [1000, 5000],
  breakdowns: [['a'], ['a', 'b']],
  skewMs: 300_000,
  deltaMax: 2 ** 40,
}
export const CONTRACTS = parseContracts(
  'defaults: { lateness: 8s, windows: [1s, 5s], breakdowns: [[a], [a, b]], maxDelta: 1099511627776 }',
)
export const APPEND_TIME = 20_000
const BATCH_HEADER_BYTES = 61
/** All but the last character of a session's name. */
export const SESSION = '0mchx2z1aAZaz09_-AZaz09_'

const dims = fc.constantFrom({}, { a: 'x' }, { a: 'x', b: 'y' }, { a: 'z', b: 'y' }, { c: 'w' })
const event: fc.Arbitrary<OracleEvent> = fc.record({
  id: fc.oneof(
    fc.nat(30).map((n) => `i${n}`),
    fc.nat(60).map((n) => `${SESSION}${n % 2}.${n % 3}.${n >> 1}`),
    fc.nat(5).map((n) => `${SESSION}0.0.${Number.MAX_SAFE_INTEGER - n}`),
  ),
  counter: fc.constantFrom('views', 'likes'),
  key: fc.constantFrom('k1', 'k2', 'k3', 'é'),
  delta: fc.oneof(fc.constantFrom(1, 1, -2, 0), fc.maxSafeInteger()),
  at: fc.oneof(
    { arbitrary: fc.integer({ min: 0, max: 30_000 }), weight: 30 },
    { arbitrary: fc.constantFrom(APPEND_TIME + 300_001, 253_402_300_799_999), weight: 1 },
  ),
  dims,
})
/** Some events on their own, and what an SDK sends: made ids in a row, the same series often. */
export const events = fc
  .array(
    fc.oneof(
      fc.array(event, { minLength: 1, maxLength: 20 }),
      fc
        .tuple(event, fc.nat(20), fc.integer({ min: 1, max: 12 }))
        .map(([one, first, length]) =>
          Array.from({ length }, (_, i) => ({ ...one, id: `${SESSION}1.7.${first + i}` })),
        ),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.flat())

/** Of an SDK's ids a packed record may say the parts, or the text as if it were any other. */
export type Encoding = 'json' | 'packed' | 'packed raw'
type Part = { encoding: Encoding; length: number; endsBatch: boolean; seals: boolean }
export const parts: fc.Arbitrary<Part[]> = fc.array(
  fc.record({
    encoding: fc.constantFrom<Encoding>('json', 'packed', 'packed', 'packed raw'),
    length: fc.integer({ min: 1, max: 40 }),
    endsBatch: fc.boolean(),
    seals: fc.boolean(),
  }),
)

export function newState(contracts = CONTRACTS): PartitionState {
  return emptyState(contracts)
}

export function packed(some: readonly OracleEvent[], encoding: Encoding): ProducerRecord {
  const writer = new PackedWriter()
  for (const { id, counter, key, at, delta, dims: labels } of some) {
    const sorted = new Map(Object.entries(labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    const made = encoding === 'packed' ? parseSdkId(id) : undefined
    if (made === undefined) writer.addRaw(id, counter, key, sorted, at, delta)
    else writer.addMade(made.session, made.lane, made.sequence, counter, key, sorted, at, delta)
  }
  return { key: null, value: writer.finish(), headers: [...packedHeaders] }
}

export function recordsOf(some: readonly OracleEvent[], encoding: Encoding): ProducerRecord[] {
  if (encoding !== 'json') return [packed(some, encoding)]
  return some.map((one) => ({ key: null, value: Buffer.from(JSON.stringify(one)) }))
}

export async function batchOf(records: readonly ProducerRecord[], baseOffset: number) {
  const encoded = await encodeRecordBatch(records, 'none', noStamp, APPEND_TIME)
  return {
    baseOffset,
    nextOffset: baseOffset + records.length,
    count: records.length,
    baseTimestampMs: 0,
    maxTimestampMs: APPEND_TIME,
    logAppendTime: true,
    records: encoded.subarray(BATCH_HEADER_BYTES),
  }
}

/** One partition's log, folded as it is written; remembers which event is where in it. */
export class Log {
  readonly state = newState()
  readonly outcomes: string[] = []
  readonly #fold = new BatchFold()
  readonly #firstEvent: number[] = []
  #pending: ProducerRecord[] = []
  /** With one, old ids leave the memory whenever the log is sealed. */
  readonly #cold: ColdStore | undefined

  constructor(cold?: ColdStore) {
    this.#cold = cold
  }

  add(some: readonly OracleEvent[], encoding: Encoding): void {
    let first = this.outcomes.length
    for (const record of recordsOf(some, encoding)) {
      this.#firstEvent.push(first)
      this.#pending.push(record)
      first += encoding === 'json' ? 1 : some.length
    }
    for (const _ of some) this.outcomes.push('applied')
  }

  /**
   * Folds what was added, as one stored batch, so many events a call at least. Gives how often ids
   * had to be looked for; with `seals`, what was folded before them is sealed first.
   */
  async fold(eventsMax: number, seals = false): Promise<number> {
    let waits = 0
    if (this.#pending.length === 0) return waits
    const batch = await batchOf(this.#pending, this.state.next)
    this.#pending = []
    while (this.state.next < batch.nextOffset) {
      const { next } = this.state
      const stop = this.#fold.run(this.state, fetchedFrom(0, next, [batch]), eventsMax)
      if (stop !== undefined) throw new Error(stop.reason)
      if (this.#fold.lacks) {
        waits++
        if (seals) this.seal()
        this.#cold!.answer(this.state)
      } else if (this.state.next === next) {
        throw new Error(`offset ${next} is not passed`)
      }
    }
    return waits
  }

  seal(): void {
    const { state } = this
    this.#expectSeries()
    for (const { offset, index, outcome } of readOutcomes(
      state.ledger.outcomes.take(),
      state.first,
    )) {
      this.outcomes[this.#firstEvent[offset]! + index] = outcome
    }
    seal(state)
    state.ledger.outcomes.reset(state.next)
    this.#cold?.cool(state)
  }

  /** A commit has the series of all sums that it has. */
  #expectSeries(): void {
    const { open, counters, unfolded, next } = this.state
    for (const { counter, directory } of open.families()) {
      const size = unfolded.foldedSize(counter, counters.list[counter]!, next)
      for (const [page, block] of directory.entries()) {
        for (let index = 0; block >= 0 && index < PAGE_SLOTS; index++) {
          assert(!open.isTouched(block, index) || page * PAGE_SLOTS + index < size)
        }
      }
    }
  }

  get counts() {
    const { read, applied, duplicate, conflict, late, invalid } = this.state.ledger
    return { read, applied, duplicate, conflict, late, invalid }
  }
}

export async function foldAsJson(all: readonly OracleEvent[]): Promise<Log> {
  const log = new Log()
  log.add(all, 'json')
  await log.fold(Infinity)
  log.seal()
  return log
}
