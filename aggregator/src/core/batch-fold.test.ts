import { expect, test } from 'vitest'
import { APPEND_MS_MAX, BatchFold } from './batch-fold.ts'
import { emptyState } from './state-samples.ts'

/** length 6 | attributes | timestamp delta 0 | offset delta 0 | no key | no value | no headers */
const RECORD = Buffer.from([12, 0, 0, 0, 1, 1, 0])

function appendMaxAfter(...times: number[]): number {
  const state = emptyState()
  const batches = times.map((baseTimestampMs, baseOffset) => ({
    baseOffset,
    nextOffset: baseOffset + 1,
    count: 1,
    baseTimestampMs,
    maxTimestampMs: baseTimestampMs,
    logAppendTime: false,
    records: RECORD,
  }))
  const nextOffset = times.length
  const ends = { logStartOffset: 0, highWatermark: nextOffset, lastStableOffset: nextOffset }
  const fetched = { partition: 0, fetchedOffset: 0, nextOffset, batches, ...ends }
  expect(
    new BatchFold().run(state, { ...fetched, isStale: () => false, release: () => undefined }),
  ).toBeUndefined()
  expect(state.next).toBe(nextOffset)
  return state.appendMax
}

test('the append time is the largest so far that is a time at all', () => {
  expect(appendMaxAfter(1000, 3000, 2000)).toBe(3000)
  expect(appendMaxAfter(1000, APPEND_MS_MAX)).toBe(APPEND_MS_MAX)
  // What a foreign producer may write as a record's time: Long.MAX_VALUE, which bigint cannot hold
  // once it has been a double.
  expect(appendMaxAfter(1000, Number(2n ** 63n - 1n))).toBe(1000)
})
