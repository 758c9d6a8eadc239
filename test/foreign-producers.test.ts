import { withAdmin } from '@countersink/local/topic'
import { homePartition, partitionHash, recordKey } from '@countersink/shared/routing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { metricOf } from '../bench/metrics.ts'
import { type ForeignProducer, startForeignProducer } from './foreign-producer.ts'
import type { WrittenEvent } from './log-writer.ts'
import type { OracleEvent } from './oracle/oracle.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'
import { createTally, type Tally } from './tally.ts'

const PARTITIONS = 2
const HOUR_MS = 3_600_000
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m, 1h] }'
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
/** Enough for batches that are worth compressing, and for more than one of them. */
const EVENTS_PER_CODEC = 400

let bed: TestBed
let tally: Tally
let foreign: ForeignProducer
let aggregator: ServiceHandle
const base = Date.now() - HOUR_MS
let made = 0

beforeAll(async () => {
  bed = await createTestBed({ partitions: PARTITIONS, contractsYaml: CONTRACTS })
  const contract = { latenessMs: 24 * HOUR_MS, windowSizesMs: [60_000, HOUR_MS], breakdowns: [] }
  tally = createTally(bed, contract)
  foreign = await startForeignProducer(bed.brokers)
  aggregator = await bed.startService('aggregator')
})

afterAll(async () => {
  await foreign?.stop()
  await bed?.stop()
})

function events(count: number): OracleEvent[] {
  const from = made
  made += count
  return Array.from({ length: count }, (_, i) => {
    const n = from + i
    return { id: `e${n}`, counter: 'views', key: `k${n % 17}`, delta: n % 9, at: base + n * 100 }
  })
}

/** Events, and where in the log they are: `partition:offset`. */
type Appended = { events: OracleEvent[]; places: string[] }

/** Sends further events and waits until they are in the log, be their transaction open or not. */
async function append(name: string, count: number): Promise<Appended> {
  const some = events(count)
  for (const event of some) {
    const key = recordKey(event.counter, event.key)
    const partition = homePartition(partitionHash(key), PARTITIONS)
    await foreign.send(name, { topic: bed.topic, partition, key, value: JSON.stringify(event) })
  }
  return { events: some, places: await foreign.flush(name) }
}

/** Tells the oracle of what counts, in the order of the log. */
function tell(...appended: Appended[]): void {
  const written = appended.flatMap(({ events: some, places }) =>
    some.map((event, i): WrittenEvent => {
      const [partition, offset] = places[i]!.split(':').map(Number) as [number, number]
      return { event, partition, offset, appendTimeMs: Date.now() }
    }),
  )
  tally.add(written)
}

async function expectExactAtTheEnd(): Promise<void> {
  const ends = await withAdmin(bed.brokers.split(','), (admin) => admin.endOffsets(bed.topic))
  await waitFor(
    async () => {
      const offsets = await tally.offsets()
      return [...ends].every(([partition, end]) => offsets.get(partition) === end)
    },
    { what: 'everything that is committed to be counted' },
  )
  expect(await tally.actual()).toEqual(tally.expected())
  // Who was just started again may be loading what it has.
  const isReady = async (): Promise<boolean> => (await fetch(`${aggregator.url}/readyz`)).ok
  await waitFor(isReady, { what: 'the aggregator to be ready' })
  expect(await metricOf(aggregator, 'countersink_lag_records')).toBe(0)
}

test('records of a foreign producer count in every compression of Kafka', async () => {
  for (const codec of CODECS) {
    await foreign.create(codec, { 'compression.type': codec, 'linger.ms': '50' })
    tell(await append(codec, EVENTS_PER_CODEC))
  }
  await expectExactAtTheEnd()
})

test('F24: aborted transactions do not count, the first to begin being the last to abort', async () => {
  await foreign.create('a', { 'transactional.id': `a-${bed.topic}` })
  await foreign.create('b', { 'transactional.id': `b-${bed.topic}` })
  await foreign.begin('a')
  await append('a', 30)
  await foreign.begin('b')
  await append('b', 30)
  await append('a', 30)
  await foreign.abort('b')
  await append('a', 30)
  await foreign.abort('a')
  await expectExactAtTheEnd()
})

test('F24: of overlapping transactions the committed ones count, and what is in none', async () => {
  await foreign.begin('a')
  const before = await append('a', 30)
  await foreign.begin('b')
  await append('b', 30)
  const plain = await append('none', 30)
  await foreign.abort('b')
  const after = await append('a', 30)
  await foreign.commit('a')
  tell(before, plain, after)
  await expectExactAtTheEnd()
})

test('F24: what lies behind an open transaction counts when that is committed, and is no lag until then', async () => {
  await foreign.begin('a')
  const open = await append('a', 20)
  const behind = await append('none', 20)
  await expectExactAtTheEnd()
  await foreign.commit('a')
  tell(open, behind)
  await expectExactAtTheEnd()
})

test('F24: a transaction that its dead producer left open is aborted by the next one of its name', async () => {
  await foreign.begin('b')
  await append('b', 20)
  await foreign.close('b')
  tell(await append('none', 20))
  await foreign.create('b2', { 'transactional.id': `b-${bed.topic}` })
  await expectExactAtTheEnd()
})

test('F24: aborted records alone move the offset to the end, and a restart begins there', async () => {
  await foreign.begin('a')
  await append('a', 40)
  await foreign.abort('a')
  await expectExactAtTheEnd()
  await aggregator.kill()
  await aggregator.start()
  await expectExactAtTheEnd()
  tell(await append('zstd', 40))
  await expectExactAtTheEnd()
})
