import { CONTRACT_LIMITS, parseContracts } from '@countersink/shared/contracts'
import { expect, test } from 'vitest'
import { borderCheck } from './border-check.ts'

const NOW = 1_700_000_000_000
const EVENT = { id: 'a', counter: 'views', key: 'k', delta: 1, at: NOW }
const CONTRACTS = parseContracts(`
unknownCounters: reject
counters:
  views: { deltas: positive, maxDelta: 10 }
  balance: { maxDelta: 10 }
`)

test.each([
  [{}, undefined],
  [{ delta: 0 }, undefined],
  [{ delta: 10 }, undefined],
  [{ delta: 11 }, 'delta-out-of-bounds'],
  [{ delta: -1 }, 'negative-delta'],
  [{ counter: 'balance', delta: -10 }, undefined],
  [{ counter: 'balance', delta: -11 }, 'delta-out-of-bounds'],
  [{ counter: 'toString' }, 'unknown-counter'],
  [{ at: 0 }, undefined],
  [{ at: NOW + CONTRACT_LIMITS.skewMs }, undefined],
  [{ at: NOW + CONTRACT_LIMITS.skewMs + 1 }, 'future'],
])('%j: %s', (fields, reason) => {
  expect(borderCheck({ ...EVENT, ...fields }, CONTRACTS, NOW)).toBe(reason)
})

test('without contracts anything but the future passes', () => {
  const contracts = parseContracts('')
  expect(borderCheck({ ...EVENT, delta: Number.MIN_SAFE_INTEGER }, contracts, NOW)).toBeUndefined()
})
