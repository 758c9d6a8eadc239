import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Moment, ROUTE_FUTURE, ROUTE_STALE, Router } from './router.ts'
import {
  addRoutingRecord,
  earliestEffectiveAt,
  emptyRoutingTable,
  noticeMs,
  partitionIn,
  type RoutingTable,
  shardPartitions,
  versionAt,
} from './routing-table.ts'

const TOPIC_ID = 'topic'
const TIMES = { leaseMs: 30, aheadMs: 40, marginMs: 20 }
const NOTICE_MS = noticeMs(TIMES)
/** Milliseconds of the simulated broker's clock. */
const START = 10_000
const SPAN = 400

type Stored = { value: Buffer; appendTimeMs: number }

/** What a publisher that had read the log up to `readAt` would write, and when it arrives. */
type Publication = { readAt: number; delay: number; slack: number; key: string; ways: number }

/** The routing topic after all publishers had their turn: log order is the order of appending. */
function logOf(publications: readonly Publication[]): Stored[] {
  const base = { format: 1, topicId: TOPIC_ID, version: 1, effectiveAt: 0, partitions: 6 }
  const first = { ...base, spreads: [], ...TIMES }
  const log: Stored[] = [{ value: Buffer.from(JSON.stringify(first)), appendTimeMs: 0 }]
  const inOrder = publications.toSorted((a, b) => a.readAt + a.delay - (b.readAt + b.delay))
  for (const { readAt, delay, slack, key, ways } of inOrder) {
    const table = tableAt(log, readAt)
    const last = table.versions.at(-1)!
    const spreads = [...last.spreads, { counter: 'c', key, ways }]
    const version = last.version + 1
    const partitions = last.partitions + (ways % 2)
    // Without slack the delay alone makes it too late; then it must count for nobody.
    const effectiveAt = earliestEffectiveAt(table, readAt) + slack
    const record = { format: 1, topicId: TOPIC_ID, version, effectiveAt, partitions, spreads }
    const value = Buffer.from(JSON.stringify({ ...record, ...TIMES }))
    log.push({ value, appendTimeMs: readAt + delay })
  }
  return log
}

function tableAt(log: readonly Stored[], brokerMs: number): RoutingTable {
  return log
    .filter(({ appendTimeMs }) => appendTimeMs <= brokerMs)
    .reduce((table, record) => addRoutingRecord(table, record).table, emptyRoutingTable(TOPIC_ID))
}

const brokerTime = fc.integer({ min: START, max: START + SPAN })
const publications = fc.array(
  fc.record({
    readAt: brokerTime,
    delay: fc.integer({ min: 0, max: 150 }),
    slack: fc.integer({ min: 0, max: 60 }),
    key: fc.constantFrom('hot', 'warm'),
    ways: fc.integer({ min: 1, max: 6 }),
  }),
  { maxLength: 8 },
)
const producers = fc.array(
  fc.record({
    /** Its clock less the broker's, within the margin. */
    clock: fc.integer({ min: -19, max: 19 }),
    refreshes: fc.array(brokerTime, { minLength: 1, maxLength: 20 }),
  }),
  { minLength: 2, maxLength: 3 },
)
const events = fc.array(
  fc.record({
    key: fc.constantFrom('hot', 'warm', 'cold'),
    id: fc.string({ minLength: 1, maxLength: 8 }),
    at: fc.integer({ min: START, max: START + SPAN + 100 }),
    sends: fc.array(fc.tuple(fc.nat(), brokerTime), { minLength: 2, maxLength: 8 }),
  }),
  { minLength: 1, maxLength: 40 },
)

test('I5: copies of an event meet, over any versions, clocks and refresh times: whoever routes one, and when', () => {
  let routed = 0
  fc.assert(
    fc.property(publications, producers, events, (published, made, sent) => {
      const log = logOf(published)
      const truth = tableAt(log, Infinity)
      for (const { key, id, at, sends } of sent) {
        const right = partitionIn(versionAt(truth, at)!, 'c', key, id)
        for (const [which, brokerMs] of sends) {
          const { clock, refreshes } = made[which % made.length]!
          const readAt = Math.max(...refreshes.filter((time) => time <= brokerMs))
          if (readAt === -Infinity) continue
          const onIts = (ms: number): Moment => ({ wallMs: ms + clock, monotonicMs: ms })
          const router = new Router(() => onIts(brokerMs))
          router.update(tableAt(log, readAt), 6, onIts(readAt))
          const partition = router.partitionOf('c', key, id, at)
          if (partition < 0) continue
          routed++
          expect(partition).toBe(right)
        }
      }
    }),
    { numRuns: 500 },
  )
  expect(routed).toBeGreaterThan(1000)
})

function routerAt(table: RoutingTable, freshMs: number, nowMs: () => Moment): Router {
  const router = new Router(nowMs)
  router.update(table, 6, { wallMs: freshMs, monotonicMs: freshMs })
  return router
}

const moment = (ms: number): Moment => ({ wallMs: ms, monotonicMs: ms })
const spread = { readAt: START, delay: 0, slack: 0, key: 'hot', ways: 4 }

test('past its lease a table still routes what ruled before, and nothing since', () => {
  let now = moment(START)
  const router = routerAt(tableAt(logOf([]), START), START, () => now)
  now = moment(START + TIMES.leaseMs)
  expect(router.partitionOf('c', 'k', 'id', now.wallMs)).toBeGreaterThanOrEqual(0)
  now = moment(START + TIMES.leaseMs + 1)
  expect(router.partitionOf('c', 'k', 'id', START + 1)).toBe(ROUTE_STALE)
  expect(router.partitionOf('c', 'k', 'id', START)).toBeGreaterThanOrEqual(0)
  router.update(router.table, 6, now)
  expect(router.partitionOf('c', 'k', 'id', now.wallMs)).toBeGreaterThanOrEqual(0)
})

test.each([
  ['the machine slept', { wallMs: START + 1000, monotonicMs: START }],
  ['somebody set the clock back', { wallMs: START - 1000, monotonicMs: START + 1000 }],
])('a table is not taken to be young because %s', (_, now) => {
  const router = routerAt(tableAt(logOf([]), START), START, () => now)
  expect(router.isFresh()).toBe(false)
})

test('an event from further ahead than any version is told is not routed', () => {
  const router = routerAt(tableAt(logOf([]), START), START, () => moment(START))
  expect(router.partitionOf('c', 'k', 'id', START + TIMES.aheadMs)).toBeGreaterThanOrEqual(0)
  expect(router.partitionOf('c', 'k', 'id', START + TIMES.aheadMs + 1)).toBe(ROUTE_FUTURE)
})

test('before the first look nothing is routed; without a version the topic is taken as it is', () => {
  const router = new Router()
  expect(router.partitionOf('c', 'k', 'id', 5)).toBe(ROUTE_STALE)
  expect(router.partitionForNew('c', 'k', 5)).toBe(ROUTE_STALE)
  router.update(emptyRoutingTable(TOPIC_ID), 3, moment(performance.now()))
  expect(router.versionAt(5)?.partitions).toBe(3)
  expect(router.partitionForNew('c', 'k', 5)).toBeLessThan(3)
})

test('events whose ids are made here go to all shards in turn, however old the table is', () => {
  const table = tableAt(logOf([spread]), START)
  const router = routerAt(table, START, () => moment(START + 100 * TIMES.leaseMs))
  const at = START + NOTICE_MS
  const partitions = [0, 1, 2, 3].map(() => router.partitionForNew('c', 'hot', at))
  expect(partitions).toEqual(shardPartitions(versionAt(table, at)!, 'c', 'hot'))
  expect(new Set(partitions).size).toBe(4)
  const before = [0, 1].map(() => router.partitionForNew('c', 'hot', at - 1))
  expect(new Set(before).size).toBe(1)
})

test('a record of a newer release stops what it may rule', () => {
  const newer = { value: Buffer.from(JSON.stringify({ format: 2, topicId: TOPIC_ID })) }
  const log = [...logOf([]), { ...newer, appendTimeMs: START }]
  const router = routerAt(tableAt(log, START), START, () => moment(START + NOTICE_MS))
  expect(router.partitionOf('c', 'k', 'id', START + NOTICE_MS)).toBe(ROUTE_STALE)
  expect(router.partitionOf('c', 'k', 'id', START)).toBeGreaterThanOrEqual(0)
})
