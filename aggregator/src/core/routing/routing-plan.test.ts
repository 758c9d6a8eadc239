import fc from 'fast-check'
import { parseContracts } from '@countersink/shared/contracts'
import {
  addRoutingRecord,
  emptyRoutingTable,
  noticeMs,
  ROUTING_TIMES,
  type RoutingTable,
  waysOf,
} from '@countersink/shared/routing-table'
import { expect, test } from 'vitest'
import { planRouting, type RoutingPlan, type RoutingWish } from './routing-plan.ts'

const NOW = 1_700_000_000_000
const WISH: RoutingWish = {
  partitions: 8,
  contracts: parseContracts(''),
  hot: [],
  times: ROUTING_TIMES,
  appendedByMs: NOW,
}

function told(table: RoutingTable, plan: RoutingPlan | undefined): RoutingTable {
  const value = Buffer.from(JSON.stringify({ format: 1, ...plan }))
  const added = addRoutingRecord(table, { value, appendTimeMs: NOW })
  expect(added.refused).toBeUndefined()
  return added.table
}

const empty = emptyRoutingTable('topic')
const first = told(empty, planRouting(empty, WISH))

test('the first version is the topic as it is; then nothing is to be done', () => {
  expect(first.versions).toMatchObject([{ version: 1, effectiveAt: 0, partitions: 8, spreads: [] }])
  expect(planRouting(first, WISH)).toBeUndefined()
})

test('a hot key gets a version with notice, a contract too, and both stay when asked again', () => {
  const contracts = parseContracts('counters: { wide: { spread: 4 }, plain: {} }')
  const hot = [{ counter: 'views', key: 'v1', ways: 16 }]
  const plan = planRouting(first, { ...WISH, contracts, hot })
  expect(plan).toMatchObject({
    version: 2,
    effectiveAt: NOW + noticeMs(ROUTING_TIMES),
    spreads: [
      { counter: 'wide', ways: 4 },
      { counter: 'views', key: 'v1', ways: 8 },
    ],
    why: 'spread by contract; hot keys',
  })
  const second = told(first, plan)
  expect(planRouting(second, { ...WISH, contracts, hot })).toBeUndefined()
  expect(planRouting(second, WISH)).toBeUndefined()
})

test('more partitions are a version; fewer are not', () => {
  expect(planRouting(first, { ...WISH, partitions: 12 })).toMatchObject({ partitions: 12 })
  expect(planRouting(first, { ...WISH, partitions: 4 })).toBeUndefined()
})

test('a key of a counter that is spread as wide already is not told again', () => {
  const contracts = parseContracts('counters: { wide: { spread: 4 } }')
  const second = told(first, planRouting(first, { ...WISH, contracts }))
  const hot = [{ counter: 'wide', key: 'k', ways: 4 }]
  expect(planRouting(second, { ...WISH, hot })).toBeUndefined()
  expect(planRouting(second, { ...WISH, hot: [{ ...hot[0]!, ways: 8 }] })).toBeDefined()
})

test('whatever is wished in turn, every plan is taken by the readers, and spreads only widen', () => {
  const wish = fc.record({
    partitions: fc.integer({ min: 1, max: 20 }),
    hot: fc.array(
      fc.record({
        counter: fc.constantFrom('a', 'b'),
        key: fc.constantFrom('x', 'y', '__proto__'),
        ways: fc.integer({ min: 1, max: 40 }),
      }),
      { maxLength: 3 },
    ),
  })
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 12 }), (wishes) => {
      let table = first
      for (const { partitions, hot } of wishes) {
        const before = table.versions.at(-1)!
        const plan = planRouting(table, { ...WISH, partitions, hot })
        if (plan !== undefined) table = told(table, plan)
        const after = table.versions.at(-1)!
        for (const { counter, key, ways } of hot) {
          const is = waysOf(after, counter, key)
          expect(is).toBeGreaterThanOrEqual(Math.min(ways, after.partitions))
          expect(is).toBeGreaterThanOrEqual(waysOf(before, counter, key))
        }
        expect(planRouting(table, { ...WISH, partitions, hot })).toBeUndefined()
      }
    }),
  )
})
