import { homePartition, recordHash } from '@countersink/shared/routing'
import {
  addRoutingRecord,
  emptyRoutingTable,
  partitionIn,
  type RoutingRecord,
  type RoutingTable,
  versionAt,
} from '@countersink/shared/routing-table'
import { formatSdkId, parseSdkId } from '@countersink/shared/sdk-id'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKeyOf } from '../keyed-hash.ts'
import { DEPENDS, ELSEWHERE, HERE, HERE_NOW, Placement, RoutingVersions } from './placement.ts'
import { SeriesDictionary } from '../series/series-dictionary.ts'

const COUNTER = Buffer.from('views')
const PARTITIONS = 8
const SESSION = '0'.repeat(9) + 'a'.repeat(16)
const TOLD = { format: 1 as const, topicId: 'topic', leaseMs: 0, aheadMs: 0, marginMs: 0 }
const FIRST = { ...TOLD, version: 1, effectiveAt: 0, partitions: PARTITIONS, spreads: [] }

function tableOf(...records: RoutingRecord[]): RoutingTable {
  return records.reduce((table, record) => {
    const value = Buffer.from(JSON.stringify(record))
    return addRoutingRecord(table, { value, appendTimeMs: 1 }).table
  }, emptyRoutingTable('topic'))
}

function spread(version: number, effectiveAt: number, key: string, ways: number): RoutingRecord {
  return { ...FIRST, version, effectiveAt, spreads: [{ counter: 'views', key, ways }] }
}

function setUp(partition: number, table: RoutingTable) {
  const versions = new RoutingVersions()
  versions.set(table.versions)
  const dictionary = new SeriesDictionary(hashKeyOf(Buffer.alloc(16)), COUNTER)
  const series = { nameBytes: COUNTER, dictionary }
  const slotOf = (key: string): number => {
    const name = Buffer.from(key)
    return dictionary.deal(name, 0, name.length, name.length)
  }
  return { placement: new Placement(partition, versions), versions, series, slotOf }
}

test('an event is misrouted unless some shard of its key lies here in the version of its time', () => {
  const at = fc.integer({ min: 0, max: 400 })
  const key = fc.constantFrom('a', 'b', 'hot')
  fc.assert(
    fc.property(key, at, fc.integer({ min: 1, max: 8 }), fc.string(), (name, time, ways, id) => {
      const table = tableOf(FIRST, spread(2, 100, 'hot', ways), {
        ...spread(3, 200, 'hot', ways),
        partitions: 11,
      })
      const right = partitionIn(versionAt(table, time)!, 'views', name, id)
      const { placement, series, slotOf } = setUp(right, table)
      const slot = slotOf(name)
      expect(placement.isMisrouted(series, 0, slot, time, -1)).toBe(false)
      expect(placement.isKeyMisrouted(COUNTER, Buffer.from(name), time, -1)).toBe(false)
      const partitions = Array.from({ length: 11 }, (_, partition) => partition)
      const taken = partitions.filter((partition) => {
        const other = setUp(partition, table)
        return !other.placement.isMisrouted(other.series, 0, other.slotOf(name), time, -1)
      })
      expect(taken).toHaveLength(name === 'hot' && time >= 100 ? ways : 1)
    }),
  )
})

test('what a slot says of all versions is found out again when they change', () => {
  const home = homePartition(recordHash('views', 'hot'), PARTITIONS)
  const { placement, versions, series, slotOf } = setUp((home + 4) % PARTITIONS, tableOf(FIRST))
  const slot = slotOf('hot')
  expect(placement.kindOf(series, slot)).toBe(ELSEWHERE)
  versions.set(tableOf(FIRST, spread(2, 100, 'hot', 2)).versions)
  expect(placement.kindOf(series, slot)).toBe(HERE_NOW)
  expect(placement.isMisrouted(series, 0, slot, 99, -1)).toBe(true)
  expect(placement.isMisrouted(series, 0, slot, 100, -1)).toBe(false)
  const grown = { ...FIRST, version: 2, effectiveAt: 100, partitions: PARTITIONS + 1 }
  const homes = [5, 9].map((partitions) => homePartition(recordHash('views', 'hot'), partitions))
  const old = setUp(homes[0]!, tableOf({ ...FIRST, partitions: 5 }, { ...grown, partitions: 9 }))
  expect(homes[0]).not.toBe(homes[1])
  expect(old.placement.kindOf(old.series, old.slotOf('hot'))).toBe(DEPENDS)
  const own = setUp(home, tableOf(FIRST, spread(2, 100, 'hot', 2)))
  expect(own.placement.kindOf(own.series, own.slotOf('hot'))).toBe(HERE)
})

test('what is kept of one series stays when others are asked for', () => {
  const versions = tableOf({ ...FIRST, partitions: 5 }, { ...FIRST, version: 2, effectiveAt: 100 })
  const { placement, series, slotOf } = setUp(0, versions)
  const isHere = (key: string, partitions: number): boolean =>
    homePartition(recordHash('views', key), partitions) === 0
  const keys = Array.from({ length: 200 }, (_, i) => `key-${i}`)
  const slots = keys.map((key) => slotOf(key))
  for (const _time of ['found out', 'kept']) {
    for (const [i, key] of keys.entries()) {
      expect(placement.isMisrouted(series, 0, slots[i]!, 99, -1)).toBe(!isHere(key, 5))
      expect(placement.isMisrouted(series, 0, slots[i]!, 100, -1)).toBe(!isHere(key, PARTITIONS))
    }
  }
  expect(keys.some((key) => isHere(key, 5) && !isHere(key, PARTITIONS))).toBe(true)
  expect(keys.some((key) => !isHere(key, 5) && isHere(key, PARTITIONS))).toBe(true)
})

test('an id that an SDK made says where it belongs, whatever the versions say of its key', () => {
  const home = homePartition(recordHash('views', 'k'), PARTITIONS)
  const elsewhere = (home + 1) % PARTITIONS
  const { placement, series, slotOf } = setUp(elsewhere, tableOf(FIRST))
  const slot = slotOf('k')
  const laneTo = (partition: number): number =>
    parseSdkId(formatSdkId(SESSION, 65_536 * 2 + partition, 1))!.lane
  expect(placement.isMisrouted(series, 0, slot, 5, laneTo(elsewhere))).toBe(false)
  expect(placement.isMisrouted(series, 0, slot, 5, laneTo(home))).toBe(true)
  expect(placement.isMisrouted(series, 0, slot, 5, -1)).toBe(true)
})
