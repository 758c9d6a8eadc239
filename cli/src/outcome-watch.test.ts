import { CountersinkError } from '@countersink/shared/errors'
import { type Outcome, OUTCOMES } from '@countersink/shared/outcomes'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutcomesAnswer } from './api-answers.ts'
import {
  createOutcomeWatch,
  type OutcomeWatch,
  type OutcomeWatchOptions,
  RANGES_MAX,
} from './outcome-watch.ts'

function watchWith(options: Partial<OutcomeWatchOptions>): OutcomeWatch {
  let now = 0
  return createOutcomeWatch({
    ask: () => Promise.resolve(undefined),
    sleep: async (ms) => {
      now += ms
      // A turn of the event loop, so that others go on.
      await new Promise((resolve) => setImmediate(resolve))
    },
    nowMs: () => now,
    stallMsMax: 10_000,
    ...options,
  })
}

/**
 * A partition's ledger whose counted position moves on a little with every question: each record
 * with the outcomes of its events.
 */
function ledger(
  records: readonly (readonly Outcome[])[],
  step: number,
): OutcomeWatchOptions['ask'] {
  let counted = 0
  return (partition, from, to): Promise<OutcomesAnswer> => {
    counted = Math.min(counted + step, records.length)
    const next = Math.max(Math.min(counted, to), from)
    const listed = records
      .flatMap((record, offset) =>
        record.map((outcome, index): [number, number, Outcome] => [offset, index, outcome]),
      )
      .filter(([offset, , outcome]) => offset >= from && offset < next && outcome !== 'applied')
    return Promise.resolve({ partition, next, outcomes: listed })
  }
}

describe('createOutcomeWatch', () => {
  it('tells exactly what became of its own events, however they interleave with others', async () => {
    // A record of more than one event is a packed one.
    const events = fc.array(
      fc.record({
        mine: fc.boolean(),
        outcomes: fc.array(fc.constantFrom(...OUTCOMES), { minLength: 1, maxLength: 3 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(events, fc.integer({ min: 1, max: 5 }), async (log, step) => {
        const watch = watchWith({
          ask: ledger(
            log.map((record) => record.outcomes),
            step,
          ),
        })
        const running = watch.run()
        for (const [offset, { mine, outcomes }] of log.entries()) {
          if (mine) outcomes.forEach(() => watch.add(3, offset))
          if (offset % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        watch.close()
        await running
        for (const outcome of OUTCOMES) {
          const mine = log
            .flatMap((record) => (record.mine ? record.outcomes : []))
            .filter((one) => one === outcome)
          expect(watch.tally[outcome]).toBe(mine.length)
        }
        expect(watch.pending).toBe(0)
      }),
    )
  })

  it('does not take an offset for settled that was added behind the question', async () => {
    const asked: [number, number][] = []
    const watch = watchWith({
      ask: (partition, from, to) => {
        asked.push([from, to])
        // An acknowledgement that comes late, for an earlier offset than those asked for.
        if (asked.length === 1) watch.add(0, 2)
        const outcomes: OutcomesAnswer['outcomes'] = from <= 2 ? [[2, 0, 'duplicate']] : []
        return Promise.resolve({ partition, next: to, outcomes })
      },
    })
    watch.add(0, 5)
    watch.close()
    await watch.run()
    expect(watch.tally).toMatchObject({ applied: 1, duplicate: 1 })
    expect(asked).toEqual([
      [5, 6],
      [2, 3],
    ])
  })

  it('says that events inside an accepted gap were skipped', async () => {
    const watch = watchWith({
      ask: (partition, _from, to) =>
        Promise.resolve({ partition, next: to, outcomes: [], gaps: [[0, 8]] }),
    })
    for (const offset of [6, 7, 8, 9]) watch.add(0, offset)
    watch.close()
    await watch.run()
    expect(watch.tally).toMatchObject({ skipped: 2, applied: 2 })
  })

  it('holds the publisher back when its offsets get too many to remember, but not for ever', async () => {
    const watch = watchWith({})
    for (let i = 0; i <= RANGES_MAX; i++) watch.add(0, i * 2)
    const [run, room] = await Promise.allSettled([watch.run(), watch.room()])
    expect([run.status, room.status]).toEqual(['rejected', 'rejected'])
  })

  it('gives up after a standstill, and says what the API said last', async () => {
    const away = new CountersinkError('API_UNAVAILABLE', 'nobody home', { retryable: true })
    const watch = watchWith({ ask: () => Promise.reject(away) })
    watch.add(0, 1)
    watch.close()
    await expect(watch.run()).rejects.toThrow(/does not move on.*nobody home/)
    await watch.room()
  })
})
