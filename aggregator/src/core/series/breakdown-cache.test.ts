import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import { expect, test } from 'vitest'
import { BreakdownCache } from './breakdown-cache.ts'
import { Columns } from '../columns.ts'

const { eventsMax } = PACKED_LIMITS

const columns = new Columns()

/** The slots of a pair as text, '' when there are none; undefined when it was not met. */
function found(cache: BreakdownCache, series: number, dimset: number): string | undefined {
  columns.breakdownCount = 0
  if (!cache.copy(series, dimset, columns)) return undefined
  return columns.breakdownSlots.subarray(0, columns.breakdownCount).join()
}

test('holds as many pairs as a record can have, and none of the record before', () => {
  const cache = new BreakdownCache()
  const faults: string[] = []
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < eventsMax; i++) {
      const series = (i * 7 + round) % eventsMax
      if (found(cache, series, i) !== undefined) faults.push(`round ${round}: ${i} is there`)
      columns.breakdownCount = 0
      columns.addBreakdown(-1)
      for (let slot = 0; slot < i % 3; slot++) columns.addBreakdown(round + i + slot)
      cache.keep(series, i, columns, 1)
    }
    for (let i = 0; i < eventsMax; i++) {
      const slots = [round + i, round + i + 1].slice(0, i % 3).join()
      if (found(cache, (i * 7 + round) % eventsMax, i) !== slots)
        faults.push(`round ${round}: ${i}`)
    }
    expect(found(cache, 9, 0)).toBeUndefined()
    cache.clear()
    for (let i = 0; i < eventsMax; i++) {
      if (found(cache, (i * 7 + round) % eventsMax, i) !== undefined) faults.push(`left: ${i}`)
    }
  }
  expect(faults.slice(0, 3)).toEqual([])
})
