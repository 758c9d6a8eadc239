import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFixture, type FixtureEvent, type FixturePartition } from './query-fixture.ts'
import { ask, keyUrl, positionOf, post, type QueryAnswer } from './query-client.ts'
import { createTestBed, type ServiceHandle, type TestBed } from './stack.ts'

const COUNTER = 'views'
const T0 = Date.UTC(2026, 0, 1)
const MINUTE = 60_000
const KEYS = Array.from({ length: 320 }, (_, i) => `k${i}`)
const HUGE = 2n ** 63n - 1n

let bed: TestBed
let writer: pg.Client
let partitions: FixturePartition[]
/** One with plenty of memory, and one that has to ask the database for what it cannot hold. */
let apis: ServiceHandle[]

beforeAll(async () => {
  bed = await createTestBed()
  writer = new pg.Client({ connectionString: bed.databaseUrl })
  await writer.connect()
  partitions = await createFixture(writer, 1, COUNTER, 3)
  apis = await Promise.all([
    bed.startService('query-api'),
    bed.startService('query-api', { env: { TAIL_ENTRIES_MAX: '1024' } }),
  ])
})

afterAll(async () => {
  await writer?.end()
  await bed?.stop()
})

function randomEvents(count: number, keys: readonly string[]): FixtureEvent[] {
  return Array.from({ length: count }, () => ({
    key: pick(keys),
    at: T0 + Math.floor(Math.random() * 30) * MINUTE,
    delta: Math.random() < 0.02 ? HUGE : BigInt(Math.floor(Math.random() * 21) - 10),
  }))
}

function pick<T>(values: readonly T[]): T {
  return values[Math.floor(Math.random() * values.length)]!
}

function expectTotal(answer: QueryAnswer, key: string): void {
  const position = positionOf(answer)
  let want = 0n
  for (const log of partitions) want += log.totalAt(key, position.get(log.partition) ?? 0)
  expect({ key, total: answer.body['total'] }).toEqual({ key, total: String(want) })
}

function expectWindows(answer: QueryAnswer, key: string, step: number): void {
  const position = positionOf(answer)
  const want = new Map<string, bigint>()
  for (const log of partitions) {
    for (const [at, delta] of log.windowsAt(key, position.get(log.partition) ?? 0)) {
      const start = new Date(at - (at % step)).toISOString().replace('.000Z', 'Z')
      want.set(start, (want.get(start) ?? 0n) + delta)
    }
  }
  const windows = answer.body['windows'] as { start: string; delta: string }[]
  const got = windows.filter(({ delta }) => delta !== '0').map((w) => [w.start, w.delta])
  const wanted = [...want]
    .filter(([, delta]) => delta !== 0n)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  expect(got).toEqual(wanted.map(([start, delta]) => [start, String(delta)]))
}

function expectNotBefore(answer: QueryAnswer, floor: Map<number, number>): void {
  for (const [partition, next] of positionOf(answer)) {
    expect(next).toBeGreaterThanOrEqual(floor.get(partition) ?? 0)
    floor.set(partition, next)
  }
}

/** One reader's session: positions never go back in it, and every answer is the oracle's. */
async function readOn(api: string, until: () => boolean): Promise<number> {
  const session = new Map<number, number>()
  let answers = 0
  while (!until()) {
    const key = pick(KEYS)
    const total = await ask(keyUrl(api, COUNTER, key))
    expect(total.status).toBe(200)
    expectNotBefore(total, session)
    expectTotal(total, key)

    const [step, name] = pick([
      [MINUTE, '1m'],
      [5 * MINUTE, '5m'],
      [60 * MINUTE, '1h'],
    ] as const)
    const range = `from=${T0}&to=${T0 + 60 * MINUTE}&step=${name}`
    const windows = await ask(`${keyUrl(api, COUNTER, key)}/windows?${range}`)
    expect(windows.status).toBe(200)
    expectNotBefore(windows, session)
    expectWindows(windows, key, step)

    const names = Array.from({ length: 20 }, () => ({ counter: COUNTER, key: pick(KEYS) }))
    const batch = await post(`${api}/v1/totals`, names)
    expectNotBefore(batch, session)
    for (const one of batch.body['totals'] as { key: string; total: string }[]) {
      expectTotal({ ...batch, body: { ...batch.body, total: one.total } }, one.key)
    }
    answers += 3
  }
  return answers
}

test('I8, I14: while commits, pages and floors move, every answer is the fold of the log at its position', async () => {
  let done = false
  const readers = apis.map(({ url }) => readOn(url, () => done))
  for (const reader of readers) reader.catch(() => {})
  for (let i = 0; i < 200; i++) {
    // New keys keep coming, so that series appear in partitions that did not have them.
    const keys = KEYS.slice(0, 20 + Math.floor(i * 1.5))
    const pages = pick(['none', 'none', 'none', 'some', 'some', 'all'] as const)
    const many = i % 40 === 39 ? 900 : 12
    await pick(partitions).commit(writer, randomEvents(many, keys), { pages })
    if (i === 150) await expectViews()
  }
  done = true
  const answers = await Promise.all(readers)
  expect(Math.min(...answers)).toBeGreaterThan(50)

  await expectViews()
})

/** The views at rest, of every key and of one. */
async function expectViews(): Promise<void> {
  const totals = await bed.sql<{ key: string; total: string }>(
    `select key, total from countersink.totals where counter = $1 and dims = '{}'`,
    [COUNTER],
  )
  expect(totals.length).toBeGreaterThan(200)
  for (const { key, total } of totals) {
    let want = 0n
    for (const log of partitions) want += log.totalAt(key, log.next)
    expect({ key, total }).toEqual({ key, total: String(want) })
  }
  for (const [size, ms] of [
    ['1m', MINUTE],
    ['1h', 60 * MINUTE],
  ] as const) {
    const windows = await bed.sql<{ key: string; start: Date; delta: string }>(
      `select key, start, delta from countersink.windows
       where counter = $1 and dims = '{}' and size = $2 and delta <> 0`,
      [COUNTER, size],
    )
    const got = windows.map(({ key, start, delta }) => `${key} ${start.getTime()} ${delta}`)
    const want = totals.flatMap(({ key }) => {
      const sums = new Map<number, bigint>()
      for (const log of partitions) {
        for (const [at, delta] of log.windowsAt(key, log.next)) {
          sums.set(at - (at % ms), (sums.get(at - (at % ms)) ?? 0n) + delta)
        }
      }
      return [...sums].filter(([, sum]) => sum !== 0n).map(([at, sum]) => `${key} ${at} ${sum}`)
    })
    expect(got.toSorted()).toEqual(want.toSorted())
  }
}

test('I12: a tail that may hold little gives up deltas and lets the database add them up, exactly', async () => {
  const [, small] = apis
  for (let i = 0; i < 4; i++) await partitions[0]!.commit(writer, randomEvents(800, KEYS))
  const next = partitions[0]!.next
  // Started again it has no page in memory, and the floor is further back than its tail may reach.
  await small!.stop()
  await small!.start()
  for (const key of KEYS.slice(0, 40)) {
    const answer = await ask(keyUrl(small!.url, COUNTER, key))
    expectTotal(answer, key)
  }
  const answer = await ask(keyUrl(small!.url, COUNTER, 'k1'))
  expect(positionOf(answer).get(0)).toBe(next)
  const metrics = String((await ask(`${small!.url}/metrics`)).body['text'])
  const entries = Number(/^countersink_query_tail_entries (\d+)$/m.exec(metrics)?.[1])
  expect(entries).toBeLessThanOrEqual(1024)
  expect(Number(/^countersink_query_dear_reads_total (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(
    0,
  )
})
