import { parseContracts } from '@countersink/shared/contracts'
import type { EventInput } from '@countersink/shared/event'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCombiner } from './combiner.ts'
import { EventIntake } from './event-intake.ts'
import { PendingEvent } from './pending-event.ts'
import { routerOf } from './router-samples.ts'
import { SessionIds } from './session-ids.ts'

const NOW = 1_700_000_000_000
const EARLIER_MS = 100

const YAML = `
counters:
  bounded: {maxDelta: 5}
  apart: {combine: false}
`

function createBed(yaml?: string) {
  const contracts = yaml === undefined ? undefined : parseContracts(yaml)
  const intake = new EventIntake(new SessionIds(NOW, contracts), routerOf(4, NOW), contracts)
  const combiner = createCombiner(EARLIER_MS)
  const sent: PendingEvent[] = []
  return {
    sent,
    combiner,
    add: (input: EventInput, deadlineMs = 0): PendingEvent => {
      expect(intake.read(input, NOW)).toBeUndefined()
      const joined = combiner.join(intake, deadlineMs)
      if (joined !== undefined) return joined
      const pending = new PendingEvent(intake, 1, deadlineMs)
      combiner.offer(pending)
      sent.push(pending)
      return pending
    },
  }
}

test('calls for one series and second become one event: their sum, and the earliest time', () => {
  const { add, sent } = createBed()
  const dims = { country: 'de' }
  add({ counter: 'c', key: 'k', at: NOW + 500 })
  add({ counter: 'c', key: 'k', at: NOW + 20, delta: 3 })
  add({ counter: 'c', key: 'k', at: NOW + 999 })
  add({ counter: 'c', key: 'k', at: NOW + 1000 })
  add({ counter: 'c', key: 'k', at: NOW + 500, delta: -1 })
  add({ counter: 'c', key: 'k', at: NOW + 500, dims })
  add({ counter: 'c', key: 'k', at: NOW + 500, dims })
  add({ counter: 'c', key: 'k2', at: NOW + 500 })
  add({ counter: 'd', key: 'k', at: NOW + 500 })
  add({ id: 'own', counter: 'c', key: 'k', at: NOW + 500 })
  expect(sent.map(({ at, delta }) => [at - NOW, delta])).toEqual([
    [20, 5],
    [1000, 1],
    [500, -1],
    [500, 2],
    [500, 1],
    [500, 1],
    [500, 1],
  ])
})

test('a sum never leaves what the contract allows, and a contract can forbid it', () => {
  const { add, sent } = createBed(YAML)
  for (const counter of ['bounded', 'apart', 'other']) {
    for (let i = 0; i < 3; i++) add({ counter, key: 'k', at: NOW, delta: 2 })
  }
  expect(sent.map((pending) => pending.delta)).toEqual([4, 2, 2, 2, 2, 6])
  for (let i = 0; i < 2; i++) {
    add({ counter: 'other', key: 'big', at: NOW, delta: Number.MAX_SAFE_INTEGER })
  }
  expect(sent.slice(-2).map((pending) => pending.delta)).toEqual([
    Number.MAX_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER,
  ])
})

test('without contracts a sum stays small', () => {
  const { add, sent } = createBed()
  for (let i = 0; i < 1001; i++) add({ counter: 'c', key: 'k', at: NOW })
  expect(sent.map((pending) => pending.delta)).toEqual([1000, 1])
})

test('nothing joins an event that has left, or that is old', () => {
  const { add, combiner } = createBed()
  const event = { counter: 'c', key: 'k', at: NOW }
  const first = add(event)
  combiner.leave(first)
  const second = add(event)
  expect(second).not.toBe(first)
  // It says so twice: when it leaves and when it comes back.
  combiner.leave(first)
  expect(add(event, EARLIER_MS)).toBe(second)
  expect(add(event, EARLIER_MS + 1)).not.toBe(second)
})

const calls = fc.array(
  fc.record({
    counter: fc.constantFrom('c', 'bounded', 'apart'),
    key: fc.constantFrom('k', '[]k', '["a","b"]k', ' k'),
    at: fc.constantFrom(0, 1, 999, 1000, 1001).map((ms) => NOW + ms),
    delta: fc.integer({ min: -3, max: 3 }),
    dims: fc.constantFrom<Record<string, string>[]>({}, { a: 'b' }, { a: 'b', b: '' }),
  }),
)

test('whatever is combined, each series has its sum in each second', () => {
  const sumsOf = (
    events: readonly { name: string; key: string; dims: unknown; at: number; delta: number }[],
  ): Record<string, number> => {
    const sums: Record<string, number> = {}
    for (const { name, key, dims, at, delta } of events) {
      const series = JSON.stringify([name, key, dims, Math.floor(at / 1000)])
      sums[series] = (sums[series] ?? 0) + delta
    }
    return sums
  }
  fc.assert(
    fc.property(calls, (inputs) => {
      const { add, sent } = createBed(YAML)
      for (const call of inputs) add(call)
      const given = inputs.map((call) => ({ ...call, name: call.counter }))
      const made = sent.map(({ lane, key, dims, at, delta }) => {
        return { name: lane.counter.name, key, dims: Object.fromEntries(dims ?? []), at, delta }
      })
      expect(sumsOf(made)).toEqual(sumsOf(given))
      expect(made.every(({ name, delta }) => name === 'c' || Math.abs(delta) <= 5)).toBe(true)
    }),
  )
})
