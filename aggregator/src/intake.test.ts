import type { FetchedBatch } from '@countersink/shared/kafka/fetched-batch'
import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'
import { createLogger } from '@countersink/shared/log'
import { PACKED_LIMITS, packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { expect, test } from 'vitest'
import { emptyState } from './core/state-samples.ts'
import { createIntake } from './intake.ts'
import { LIMITS } from './limits.ts'
import { createOwnedPartition } from './owned-partition.ts'

const RECORDS = 12
const { eventsMax } = PACKED_LIMITS
const BATCH_HEADER_BYTES = 61

/** Full records of the smallest events, all of them in one stored batch of some 600 KB. */
async function fullRecords(): Promise<FetchedBatch> {
  const writer = new PackedWriter()
  const records = Array.from({ length: RECORDS }, (_, record) => {
    for (let n = record * eventsMax; n < (record + 1) * eventsMax; n++) {
      writer.addMade('0mchx2z1aAZaz09_-AZaz09_A', 1, n, 'views', 'k', undefined, 1000, 1)
    }
    return { key: null, value: writer.finish(), headers: [...packedHeaders] }
  })
  const encoded = await encodeRecordBatch(records, 'none', noStamp, 1000)
  const batch = {
    ...{ baseOffset: 0, nextOffset: RECORDS, count: RECORDS, logAppendTime: true },
    ...{ baseTimestampMs: 0, maxTimestampMs: 1000 },
    records: encoded.subarray(BATCH_HEADER_BYTES),
  }
  const ends = { logStartOffset: 0, highWatermark: RECORDS, lastStableOffset: RECORDS }
  const fetched = { partition: 0, fetchedOffset: 0, nextOffset: RECORDS, batches: [batch] }
  return { ...fetched, ...ends, isStale: () => false, release: () => undefined }
}

function ownedPartition() {
  const offsets = { partition: 0, next: 0, floor: 0, idsFloor: 0, revision: 0, appendMax: 0 }
  const owned = createOwnedPartition({ ...offsets, record: undefined, halted: undefined }, 'token')
  owned.state = emptyState()
  return owned
}

test('I12: a batch of packed records is folded in parts, with room asked and a turn for others between', async () => {
  const owned = ownedPartition()
  const { ledger } = owned.state!
  /** Events read, and the next offset, each time that room is asked for. */
  const asked: [read: number, next: number][] = []
  const turns: number[] = []
  const intake = createIntake({
    ownership: { get: () => owned, halt: async () => undefined },
    committer: {
      async room() {
        asked.push([ledger.read, owned.state!.next])
        setImmediate(() => turns.push(ledger.read))
      },
      notify: () => undefined,
    },
    cooler: { room: async () => undefined, answer: () => expect.unreachable() },
    idsAreBounded: false,
    logger: createLogger('test', 'fatal'),
    untilPlaced: async () => undefined,
    onDoubt: () => expect.unreachable(),
  })
  await intake.take(await fullRecords())
  const events = RECORDS * eventsMax
  expect([ledger.read, ledger.applied, owned.state!.next]).toEqual([events, events, RECORDS])
  expect(owned.expectedOffset).toBe(RECORDS)
  expect(asked.every(([read, next]) => read === next * eventsMax)).toBe(true)
  const steps = [...asked.slice(1).map(([read]) => read), events].map(
    (read, i) => read - asked[i]![0],
  )
  expect(Math.max(...steps)).toBeLessThan(LIMITS.eventsPerTurnMax + eventsMax)
  expect(new Set(turns).size).toBeGreaterThan(1)
  expect(owned.density.eventsPerOffset).toBe(eventsMax)
})
