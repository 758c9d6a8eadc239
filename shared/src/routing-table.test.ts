import fc from 'fast-check'
import { expect, test } from 'vitest'
import { homePartition, recordHash } from './routing.ts'
import {
  addRoutingRecord,
  continuesTable,
  earliestEffectiveAt,
  emptyRoutingTable,
  noticeMs,
  partitionIn,
  ROUTING_TIMES,
  type RoutingRecord,
  type RoutingTable,
  shardPartitions,
  versionAt,
} from './routing-table.ts'
import { formatSdkId } from './sdk-id.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
const SESSION = `${'0'.repeat(9)}${'a'.repeat(16)}`
const NOTICE_MS = noticeMs(ROUTING_TIMES)
const BASE = {
  format: 1,
  topicId: TOPIC_ID,
  version: 1,
  effectiveAt: 0,
  partitions: 8,
  spreads: [],
  ...ROUTING_TIMES,
} satisfies RoutingRecord

function add(table: RoutingTable, record: unknown, appendTimeMs: number | undefined = 1000) {
  const value = typeof record === 'string' ? record : JSON.stringify(record)
  return addRoutingRecord(table, { value: Buffer.from(value), appendTimeMs })
}

function tableOf(...records: [RoutingRecord, number][]): RoutingTable {
  return records.reduce((table, [record, at]) => {
    const added = add(table, record, at)
    expect(added.refused).toBeUndefined()
    return added.table
  }, emptyRoutingTable(TOPIC_ID))
}

test('the first version of a number in the order of the log counts, later ones do not', () => {
  const one = tableOf([BASE, 1000])
  const change = { ...BASE, version: 2, effectiveAt: 1000 + NOTICE_MS }
  const two = add(one, { ...change, spreads: [{ counter: 'c', key: 'k', ways: 4 }] }).table
  const second = add(two, { ...change, spreads: [{ counter: 'c', key: 'other', ways: 4 }] })
  expect(second.refused).toContain('not the next one')
  expect(second.table).toBe(two)
  expect(two.versions.map(({ version }) => version)).toEqual([1, 2])
})

test('a version that was appended too late for its event time counts for nobody', () => {
  const one = tableOf([BASE, 1000])
  const late = { ...BASE, version: 2, effectiveAt: 5000 + NOTICE_MS }
  expect(earliestEffectiveAt(one, 5001)).toBe(5001 + NOTICE_MS)
  expect(add(one, late, 5001).refused).toContain('too late')
  expect(add(one, late, 5000).table.versions).toHaveLength(2)
})

test.each([
  ['no JSON', '{'],
  ['no object', '[]'],
  ['no version', { ...BASE, version: 0 }],
  ['a hole', { ...BASE, version: 2 }],
  ['a first one that begins later', { ...BASE, effectiveAt: 1 }],
  ['no partitions', { ...BASE, partitions: 0 }],
  ['ways of none', { ...BASE, spreads: [{ counter: 'c', key: 'k', ways: 0 }] }],
  ['a spread of nothing', { ...BASE, spreads: [{ ways: 2 }] }],
  ['times below 0', { ...BASE, leaseMs: -1 }],
  ['more than it may hold', `${JSON.stringify(BASE)}${' '.repeat(1024 * 1024)}`],
])('%s changes nothing, and is told', (_, record) => {
  const empty = emptyRoutingTable(TOPIC_ID)
  const { table, refused } = add(empty, record)
  expect(refused).toBeTypeOf('string')
  expect(table).toBe(empty)
})

test('a record without an append time by the broker is not believed', () => {
  const empty = emptyRoutingTable(TOPIC_ID)
  const value = Buffer.from(JSON.stringify(BASE))
  expect(addRoutingRecord(empty, { value, appendTimeMs: undefined }).refused).toContain('append')
  expect(addRoutingRecord(empty, { value: null, appendTimeMs: 1 }).refused).toBeTypeOf('string')
})

test('versions of a topic that had the name before are passed over in silence', () => {
  const { table, refused } = add(emptyRoutingTable(TOPIC_ID), { ...BASE, topicId: 'other' })
  expect([table.versions, refused]).toEqual([[], undefined])
})

test('partitions never become fewer', () => {
  const fewer = { ...BASE, version: 2, effectiveAt: 1000 + NOTICE_MS, partitions: 7 }
  expect(add(tableOf([BASE, 1000]), fewer).refused).toContain('fewer')
})

test('a record of a newer release ends what is known, its notice after it', () => {
  const known = tableOf([BASE, 1000])
  const { table, refused } = add(known, { format: 2, topicId: TOPIC_ID, anything: 1 }, 7000)
  expect(refused).toContain('upgrade')
  expect(table.knownUntil).toBe(7000 + NOTICE_MS)
})

test('a table that has lost a version does not continue the one before', () => {
  const one = tableOf([BASE, 1000])
  const two = tableOf([BASE, 1000], [{ ...BASE, version: 2, effectiveAt: 1000 + NOTICE_MS }, 1000])
  expect(continuesTable(one, two)).toBe(true)
  expect(continuesTable(two, one)).toBe(false)
  expect(continuesTable(two, emptyRoutingTable('another topic'))).toBe(true)
})

test('the version is the one in force at the event time', () => {
  const table = tableOf(
    [BASE, 1000],
    [{ ...BASE, version: 2, effectiveAt: 1000 + NOTICE_MS }, 1000],
  )
  const at = (time: number) => versionAt(table, time)?.version
  expect([at(-5), at(0), at(999 + NOTICE_MS), at(1000 + NOTICE_MS), at(Infinity)]).toEqual([
    1, 1, 1, 2, 2,
  ])
  expect(versionAt(emptyRoutingTable(TOPIC_ID), 5)).toBeUndefined()
})

function spreadVersion(partitions: number, ways: number) {
  const spreads = [
    { counter: 'c', key: 'hot', ways },
    { counter: 'all', ways },
  ]
  return tableOf([{ ...BASE, partitions, spreads }, 1000]).versions[0]!
}

test('the shards of a key are different partitions, the first its home, and ids fill them evenly', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 80 }), (p, w) => {
      const shards = shardPartitions(spreadVersion(p, w), 'c', 'hot')
      expect(new Set(shards).size).toBe(Math.min(p, w))
      expect(shards[0]).toBe(homePartition(recordHash('c', 'hot'), p))
      expect(shards.every((partition) => partition >= 0 && partition < p)).toBe(true)
    }),
  )
  const version = spreadVersion(8, 8)
  const counts = new Map<number, number>()
  for (let i = 0; i < 8000; i++) {
    const partition = partitionIn(version, 'all', 'any', `event-${i}`)
    counts.set(partition, (counts.get(partition) ?? 0) + 1)
  }
  expect(counts.size).toBe(8)
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
})

test('what is not spread goes where Kafka puts its record key', () => {
  const version = spreadVersion(8, 8)
  for (const key of ['a', 'b', 'zähler', '__proto__']) {
    const home = homePartition(recordHash('c', key), 8)
    expect(partitionIn(version, 'c', key, 'any id')).toBe(home)
  }
})

test('an id that an SDK made says its partition, in every version and for every key', () => {
  const id = formatSdkId(SESSION, 3 * 65_536 + 5, 77)
  for (const version of [spreadVersion(8, 8), spreadVersion(12, 2)]) {
    expect(partitionIn(version, 'c', 'hot', id)).toBe(5)
    expect(partitionIn(version, 'x', 'y', id)).toBe(5)
  }
  // Made for a topic with more partitions than this one has: an id like any other.
  const home = homePartition(recordHash('x', 'y'), 4)
  expect(partitionIn(spreadVersion(4, 2), 'x', 'y', id)).toBe(home)
})
