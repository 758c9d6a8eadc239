import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createKafkaProducer, type KafkaProducer } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { type Outcome, readOutcomes } from '@countersink/shared/outcomes'
import { formatPosition } from '@countersink/shared/position'
import { INVALID_REASONS } from '@countersink/shared/reasons'
import { homePartition, recordHash } from '@countersink/shared/routing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, keyUrl } from './query-client.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'
import { STRANGE_CONTRACTS, type StrangeRecord, strangeRecords } from './strange-records.ts'

const PARTITIONS = 2
const INPUTS = join(import.meta.dirname, '..', 'docs', 'inputs.md')
/** So many events of the greatest delta leave int64. */
const HUGE_EVENTS = 1100
const BATCH_RECORDS = 1000
/** Short, so that a killed aggregator is soon given up. */
const ENV = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }

let bed: TestBed
let producer: KafkaProducer
let aggregator: ServiceHandle
let api: ServiceHandle
const at = Date.now() - 60_000

beforeAll(async () => {
  bed = await createTestBed({ partitions: PARTITIONS, contractsYaml: STRANGE_CONTRACTS, env: ENV })
  producer = createKafkaProducer({
    brokers: bed.brokers.split(','),
    clientId: 'strange',
    logger: createLogger('strange', 'warn'),
  })
  await producer.start()
  aggregator = await bed.startService('aggregator')
  api = await bed.startService('query-api')
})

afterAll(async () => {
  await producer?.stop()
  await bed?.stop()
})

/** Where a record belongs; what holds no key may lie anywhere. */
function placeOf({ value, misplaced = false }: StrangeRecord): number {
  let home = 0
  try {
    const { counter, key } = JSON.parse(String(value)) as { counter: string; key: string }
    home = homePartition(recordHash(counter, key), PARTITIONS)
  } catch {
    // No JSON: it has no home.
  }
  return misplaced ? 1 - home : home
}

type Record = Pick<StrangeRecord, 'value' | 'headers'>

/** Appends records one behind the other; gives the offset of the first. */
async function append(partition: number, records: readonly Record[]): Promise<number> {
  const some = records.map(({ value, headers = [] }) => ({ key: null, value, headers }))
  const batches = Array.from({ length: Math.ceil(some.length / BATCH_RECORDS) }, (_, i) =>
    producer.send(bed.topic, partition, some.slice(i * BATCH_RECORDS, (i + 1) * BATCH_RECORDS)),
  )
  const [first] = await Promise.all(batches)
  if (first === undefined) throw new Error('nothing to append')
  return first.baseOffset
}

async function untilCounted(ends: ReadonlyMap<number, number>): Promise<void> {
  await waitFor(
    async () => {
      const rows = await bed.sql<{ partition: number; next: string }>(
        'select partition, next from countersink_1.partitions',
      )
      const next = new Map(rows.map((row) => [row.partition, Number(row.next)]))
      return [...ends].every(([partition, end]) => (next.get(partition) ?? 0) >= end)
    },
    { what: 'the records to be counted' },
  )
}

/** `partition:offset` -> outcome, of every event that was not applied. */
async function outcomes(): Promise<Map<string, Outcome>> {
  const rows = await bed.sql<{ partition: number; first: string; outcomes: Buffer }>(
    'select partition, first, outcomes from countersink_1.commits',
  )
  return new Map(
    rows.flatMap(({ partition, first, outcomes: bytes }) =>
      [...readOutcomes(bytes, Number(first))].map(
        ({ offset, outcome }) => [`${partition}:${offset}`, outcome] as const,
      ),
    ),
  )
}

async function reasons(): Promise<Map<string, string | null>> {
  const rows = await bed.sql<{ partition: number; offset: string; reason: string | null }>(
    'select partition, "offset", reason from countersink_1.rejects',
  )
  return new Map(rows.map(({ partition, offset, reason }) => [`${partition}:${offset}`, reason]))
}

/** Through the views, and through the API when it has seen all that is counted. */
async function expectTotals(expected: ReadonlyMap<string, bigint>): Promise<void> {
  const offsets = await bed.sql<{ partition: number; next: string }>(
    'select partition, next from countersink_1.partitions',
  )
  const next = new Map(offsets.map((row) => [row.partition, Number(row.next)]))
  const after = formatPosition({ topic: bed.topic, generation: 0, next })
  for (const [name, total] of expected) {
    const [counter, key] = JSON.parse(name) as [string, string]
    const rows = await bed.sql<{ total: string }>(
      `select total from countersink.totals where counter = $1 and key = $2 and dims = '{}'`,
      [counter, key],
    )
    expect([name, rows[0]?.total]).toEqual([name, String(total)])
    if (key === '..') continue // A URL's own meaning of it: POST /v1/totals is there for that.
    const answer = await ask(`${keyUrl(api.url, counter, key)}?after=${after}`)
    expect([name, answer.body['total']]).toEqual([name, String(total)])
  }
}

test('I10: each strange record gets its outcome and its reason, and the partition goes on', async () => {
  const anchors = Array.from({ length: PARTITIONS }, (_, partition) => ({
    value: Buffer.from(
      JSON.stringify({ id: `anchor${partition}`, counter: 'views', key: `anchor${partition}`, at }),
    ),
  }))
  for (const [partition, anchor] of anchors.entries()) await append(partition, [anchor])
  const places = new Map<string, StrangeRecord>()
  const ends = new Map<number, number>()
  for (const record of strangeRecords(Date.now())) {
    const partition = placeOf(record)
    const offset = await append(partition, [record])
    places.set(`${partition}:${offset}`, record)
    ends.set(partition, offset + 1)
  }
  await untilCounted(ends)

  const [ledger, kept] = [await outcomes(), await reasons()]
  const got = [...places].map(([place, { what }]) => {
    return [what, ledger.get(place) ?? 'applied', kept.get(place) ?? undefined]
  })
  const wanted = [...places.values()].map((record) => {
    return [record.what, record.outcome, record.outcome === 'invalid' ? record.reason : undefined]
  })
  expect(got).toEqual(wanted)

  const totals = new Map<string, bigint>()
  for (const record of places.values()) {
    if (record.outcome !== 'applied') continue
    const name = JSON.stringify([record.counter, record.key])
    totals.set(name, (totals.get(name) ?? 0n) + BigInt(record.delta))
  }
  await expectTotals(totals)
})

test('I10, I12: new keys beyond the quota are invalid, and those that are known go on', async () => {
  const records = (keys: number, round: string) =>
    Array.from({ length: keys }, (_, i) => ({
      value: Buffer.from(JSON.stringify({ id: round, counter: 'few', key: `k${i}`, at })),
    }))
  const first = await append(0, records(100_000, 'first'))
  const again = await append(0, records(10, 'again'))
  await untilCounted(new Map([[0, again + 10]]))
  const ledger = await outcomes()
  const counted = (from: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => i).filter((i) => !ledger.has(`0:${from + i}`))
  // Room is kept for the breakdown that an event may bring: the last of four slots is never dealt.
  expect(counted(first, 100_000)).toEqual([0, 1, 2])
  expect(counted(again, 10)).toEqual([0, 1, 2])
  expect((await reasons()).get(`0:${first + 3}`)).toBe('series-quota')
})

test('a counter beyond the quota is invalid', async () => {
  const records = Array.from({ length: 1001 }, (_, i) => ({
    value: Buffer.from(JSON.stringify({ id: 'q', counter: `q${i}`, key: 'k', at })),
  }))
  const first = await append(1, records)
  await untilCounted(new Map([[1, first + 1001]]))
  const ledger = await outcomes()
  expect(ledger.get(`1:${first + 1000}`)).toBe('invalid')
  expect((await reasons()).values()).toContain('counter-quota')
})

test('I7: a sum past int64 is exact in the views and the API, also after a take-over and back below', async () => {
  const partition = homePartition(recordHash('views', 'huge'), PARTITIONS)
  const send = async (name: string, count: number, delta: number): Promise<void> => {
    const records = Array.from({ length: count }, (_, i) => ({
      value: Buffer.from(
        JSON.stringify({ id: `${name}${i}`, counter: 'views', key: 'huge', delta, at }),
      ),
    }))
    const first = await append(partition, records)
    await untilCounted(new Map([[partition, first + count]]))
  }
  const name = JSON.stringify(['views', 'huge'])
  let total = 0n
  for (const [step, delta] of [1, 1, -1, -1, -1].entries()) {
    await send(`step${step}-`, HUGE_EVENTS, delta * Number.MAX_SAFE_INTEGER)
    total += BigInt(delta * HUGE_EVENTS) * BigInt(Number.MAX_SAFE_INTEGER)
    await expectTotals(new Map([[name, total]]))
    await aggregator.kill()
    await aggregator.start()
  }
  await send('last', 1, 1)
  await expectTotals(new Map([[name, total + 1n]]))
  const [row] = await bed.sql<{ delta: string }>(
    `select sum(delta) as delta from countersink.windows where counter = 'views' and key = 'huge'`,
  )
  expect(row?.delta).toBe(String(total + 1n))
})

test('docs/inputs.md names every reason, and no other; each is met by a record here', () => {
  const kafka = readFileSync(INPUTS, 'utf8').split('## The request')[0] ?? ''
  const named = new Set(
    kafka
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .flatMap((line) => reasonsIn(line)),
  )
  expect([...named].toSorted()).toEqual([...INVALID_REASONS].toSorted())
  const met = strangeRecords(0).flatMap((one) => (one.outcome === 'invalid' ? [one.reason] : []))
  const quotas = ['series-quota', 'counter-quota'] as const
  expect([...new Set([...met, ...quotas])].toSorted()).toEqual([...INVALID_REASONS].toSorted())
})

/** In the first table what Kafka's column says after `invalid`, in the second the last column. */
function reasonsIn(line: string): string[] {
  const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
  const [, , second = '', third = ''] = cells
  const inFirst = [...second.matchAll(/invalid `([a-z0-9-]+)`/g)].map(([, reason]) => reason ?? '')
  const inSecond = /^`[a-z-]+`(, `[a-z-]+`)*$/.test(third)
    ? [...third.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason ?? '')
    : []
  return [...inFirst, ...inSecond]
}
