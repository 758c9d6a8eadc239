import { parseContracts } from '@countersink/shared/contracts'
import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'
import { readOutcomes } from '@countersink/shared/outcomes'
import { addRoutingRecord, emptyRoutingTable } from '@countersink/shared/routing-table'
import { expect, test } from 'vitest'
import { fetchedFrom } from '../../../../test/log-batches.ts'
import { snapshotOf } from '../../../../test/state-snapshot.ts'
import { BatchFold } from '../batch-fold.ts'
import { createRandom, mutate, type Random } from './event-spellings.ts'
import { hashKeyOf } from '../keyed-hash.ts'
import { PartitionState } from '../partition-state.ts'
import { RoutingVersions } from '../routing/placement.ts'
import { seal, sumsOf } from '../state-samples.ts'

const LOGS = 60
/** More than two runs, when nothing ends one early. */
const RECORDS = 1200
const BATCH_HEADER_BYTES = 61
const START_MS = 1_700_000_000_000

/** Every refusal of a contract is near; quotas are filled in the midst of a log. */
const CONTRACTS = parseContracts(`
unknownCounters: reject
defaults: { lateness: 10s, windows: [1s], breakdowns: [[a], [a, b]], maxSeriesPerPartition: 90 }
counters:
  views: { deltas: positive, maxSeriesPerPartition: 300 }
  likes: { maxDelta: 60, misrouted: reject, breakdowns: [] }
  plays:
`)
const TOLD = { topicId: 'topic', leaseMs: 0, aheadMs: 0, marginMs: 0 }
const ROUTING = new RoutingVersions()
ROUTING.set(
  [
    { ...TOLD, version: 1, effectiveAt: 0, partitions: 2, spreads: [] },
    { ...TOLD, version: 2, effectiveAt: START_MS + 20_000, partitions: 3, spreads: [] },
  ].reduce((table, record) => {
    const value = Buffer.from(JSON.stringify({ format: 1, ...record }))
    return addRoutingRecord(table, { value, appendTimeMs: 1 }).table
  }, emptyRoutingTable('topic')).versions,
)

function newState(): PartitionState {
  return new PartitionState({
    partition: 1,
    routing: ROUTING,
    hashKey: hashKeyOf(Buffer.from('0123456789abcdef')),
    contracts: CONTRACTS,
    next: 0,
    appendMax: 0,
  })
}

/** `oddity`: how often something is out of the ordinary, so that some runs are long. */
function valueOf(random: Random, i: number, oddity: number): Buffer {
  const at = START_MS + 40 * i - (random.chance(oddity) ? random.below(12_000) : random.below(200))
  const event = {
    id: `i${random.chance(0.1) ? i - random.below(20) : i}`,
    counter: random.pick(random.chance(oddity) ? ['likes', 'plays', 'other'] : ['views', 'plays']),
    key: `${random.chance(oddity) ? 'é' : 'k'}${Math.floor(random.below(400) ** 2 / 400)}`,
    delta: random.chance(oddity) ? random.pick([-1, 61, 1.5]) : 1 + random.below(3),
    at: random.chance(oddity / 2) ? at + random.below(700_000) : at,
    ...(random.chance(oddity) && { dims: { a: `x${random.below(3)}`, b: 'y' } }),
  }
  const value = Buffer.from(JSON.stringify(event))
  return random.chance(oddity / 4) ? mutate(random, value) : value
}

async function logOf(random: Random) {
  const oddity = random.pick([0, 0.01, 0.1, 0.5])
  const records = Array.from({ length: RECORDS }, (_, i) => ({
    key: null,
    value: random.chance(oddity / 10) ? null : valueOf(random, i, oddity),
    timestampMs: START_MS - 290_000 + 40 * i - random.below(1000),
  }))
  const encoded = await encodeRecordBatch(records, 'none', noStamp, 0)
  return {
    baseOffset: 0,
    nextOffset: RECORDS,
    count: RECORDS,
    baseTimestampMs: records[0]!.timestampMs,
    maxTimestampMs: 0,
    logAppendTime: false,
    records: encoded.subarray(BATCH_HEADER_BYTES),
  }
}

/** All that the fold of a log leaves behind, folded in parts of so many events. */
function foldInParts(
  batch: Awaited<ReturnType<typeof logOf>>,
  eventsOf: () => number,
  fold = new BatchFold(),
) {
  const state = newState()
  while (state.next < RECORDS) {
    expect(fold.run(state, fetchedFrom(1, state.next, [batch]), eventsOf())).toBeUndefined()
  }
  const { applied, duplicate, conflict, late, invalid, misrouted, rejects, outcomes } = state.ledger
  const counts = { applied, duplicate, conflict, late, invalid, misrouted }
  const told = rejects.map(({ offset, reason }) => `${offset} ${reason}`)
  const entries = [...readOutcomes(outcomes.take(), 0)]
  seal(state)
  return { ...snapshotOf(state), counts, told, entries, sums: sumsOf(state) }
}

test('I1, I2: events whose series are looked up together end where they would one by one', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = createRandom(seed)
  const met = new Map<string, number>()
  for (let i = 0; i < LOGS; i++) {
    const batch = await logOf(random)
    const single = foldInParts(batch, () => 1)
    expect(
      foldInParts(batch, () => Infinity),
      `seed ${seed}, log ${i}`,
    ).toEqual(single)
    expect(
      foldInParts(batch, () => 1 + random.below(900)),
      `seed ${seed}, log ${i}`,
    ).toEqual(single)
    for (const text of single.told) met.set(text.slice(text.indexOf(' ') + 1), i)
  }
  expect([...met.keys()]).toEqual(
    expect.arrayContaining([
      ...['unknown-counter', 'series-quota', 'misrouted', 'negative-delta', 'future'],
      ...['delta-out-of-bounds', 'bad-delta', 'null-value'],
    ]),
  )
}, 60_000)

test('what a partition that failed has left in a run does not reach another one', async () => {
  const batch = await logOf(createRandom(1))
  const fold = new BatchFold()
  const failed = newState()
  failed.interner.append = () => {
    throw new RangeError('a bound is reached')
  }
  expect(() => fold.run(failed, fetchedFrom(1, 0, [batch]))).toThrow('a bound is reached')
  expect(foldInParts(batch, () => Infinity, fold)).toEqual(foldInParts(batch, () => Infinity))
})
