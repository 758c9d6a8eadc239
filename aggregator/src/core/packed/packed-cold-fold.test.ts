import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Oracle, type OracleEvent } from '../../../../test/oracle/oracle.ts'
import { snapshotOf } from '../../../../test/state-snapshot.ts'
import { ColdStore } from '../ids/cold-samples.ts'
import { sumsOf } from '../state-samples.ts'
import {
  APPEND_TIME,
  CONTRACT,
  events,
  foldAsJson,
  Log,
  parts,
  SESSION,
  type Encoding,
} from './packed-log-samples.ts'

/** Few ids, of few series, and few late events. */
function narrowed(one: OracleEvent): OracleEvent {
  const at = one.at > 30_000 ? one.at : 12_000 + (one.at % 9000)
  const number = Number(/\d+$/.exec(one.id)?.[0] ?? 0)
  const id = number % 4 === 0 ? one.id : `i${number % 10}`
  return { ...one, at, id, key: one.key === 'é' ? 'é' : 'k1', delta: one.delta > 7 ? 1 : one.delta }
}

test('I1, I5: where old ids are not in memory every event has the outcome that it would have there', async () => {
  const store = new ColdStore()
  await fc.assert(
    fc.asyncProperty(events, parts, fc.constantFrom(1, 7, Infinity), async (made, some, max) => {
      const all = made.map(narrowed)
      const log = new Log(store)
      const plan = [...some, { encoding: 'packed raw' as const, length: 1, endsBatch: true }]
      for (let at = 0, i = 0; at < all.length; i++) {
        const { encoding, length, endsBatch } = plan[i % plan.length]!
        const taken = all.slice(at, at + Math.ceil(length / 4))
        at += taken.length
        log.add(taken, encoding)
        if (!endsBatch && at < all.length) continue
        await log.fold(max)
        log.seal()
      }
      const oracle = new Oracle(CONTRACT)
      for (const one of all) oracle.apply(one, APPEND_TIME)
      expect(log.outcomes).toEqual(oracle.outcomes)
      expect(sumsOf(log.state)).toEqual(new Map([...oracle.totals, ...oracle.windows]))
      const json = snapshotOf((await foldAsJson(all)).state)
      const { counters, appendMax } = snapshotOf(log.state)
      expect({ counters, appendMax }).toEqual({
        counters: json.counters,
        appendMax: json.appendMax,
      })
    }),
    { numRuns: 300 },
  )
  expect(store.runs).toBeGreaterThan(100)
  expect(store.found).toBeGreaterThan(100)
})

/** What is in no memory any more when the rest of the log comes. */
const OLD = Array.from({ length: 10 }, (_, i) => ({
  ...{ id: `i${i}`, counter: 'views', key: `k${i}`, delta: 1, at: i < 9 ? 13_000 : APPEND_TIME },
}))

/** A copy of an old event now and then, many series, and ids in ranges where the encoding has them. */
function widened(one: OracleEvent, i: number, encoding: Encoding): OracleEvent {
  if (encoding === 'packed') return { ...newOf(one, i), id: `${SESSION}1.5.${i}` }
  return i % 3 === 0 ? OLD[i % 9]! : newOf(one, i)
}

function newOf({ counter, at, dims: labels }: OracleEvent, i: number): OracleEvent {
  const key = `k${(i * 7 + at) % 50}`
  return { id: `n${i}`, counter, key, delta: 1, at: 14_000 + (at % 5000), dims: labels ?? {} }
}

test('I1, I3: read behind rows that wait for old ids, series get the slots of the order of the log', async () => {
  const store = new ColdStore()
  let waits = 0
  await fc.assert(
    fc.asyncProperty(events, parts, fc.constantFrom(1, 7, Infinity), async (made, some, max) => {
      const all: OracleEvent[] = [...OLD]
      const log = new Log(store)
      log.add(OLD, 'json')
      await log.fold(Infinity)
      log.seal()
      const plan = [...some, { encoding: 'packed raw' as const, length: 8, endsBatch: true }]
      for (let at = 0, i = 0; at < made.length; i++) {
        const { encoding, length, endsBatch } = plan[i % plan.length]!
        const taken = made.slice(at, at + Math.ceil(length / 4))
        const wide = taken.map((one, n) => widened(one, at + n, encoding))
        at += taken.length
        all.push(...wide)
        log.add(wide, encoding)
        if ((!endsBatch || i % 3 > 0) && at < made.length) continue
        waits += await log.fold(max, true)
        log.seal()
      }
      const oracle = new Oracle(CONTRACT)
      for (const one of all) oracle.apply(one, APPEND_TIME)
      expect(log.outcomes).toEqual(oracle.outcomes)
      const { counters } = snapshotOf((await foldAsJson(all)).state)
      expect(snapshotOf(log.state).counters).toEqual(counters)
    }),
    { numRuns: 200 },
  )
  expect(waits).toBeGreaterThan(100)
})
