import { parseContracts } from '@countersink/shared/contracts'
import type { CountEvent } from '@countersink/shared/event'
import { Router } from '@countersink/shared/router'
import { emptyRoutingTable } from '@countersink/shared/routing-table'
import { describe, expect, it } from 'vitest'
import { LatenessCheck, type LatenessCheckOptions } from './lateness-check.ts'

const HOUR = 3_600_000
const NOW = 1_000 * HOUR

function check(ats: readonly number[], more: Partial<LatenessCheckOptions> = {}): LatenessCheck {
  const lateness = new LatenessCheck({
    contracts: parseContracts('defaults: { lateness: 2h }'),
    partitions: 1,
    versionAt: versionOf(more.partitions ?? 1),
    clockOf: () => undefined,
    nowMs: NOW,
    ...more,
  })
  ats.forEach((at, i) => lateness.add(event(at), i + 1))
  return lateness
}

function versionOf(partitions: number): LatenessCheckOptions['versionAt'] {
  const router = new Router()
  router.update(emptyRoutingTable('topic'), partitions, { wallMs: 0, monotonicMs: 0 })
  return (at) => router.versionAt(at)
}

function event(at: number, key = 'k'): CountEvent {
  return { id: String(at), counter: 'c', key, delta: 1, at }
}

describe('LatenessCheck', () => {
  it('finds nothing in a file whose disorder is within the lateness', () => {
    expect(check([5 * HOUR, 3 * HOUR, 6 * HOUR, 4 * HOUR]).problems()).toEqual([])
  })

  it('counts the events that the order of the file makes late', () => {
    const [found] = check([5 * HOUR, 3 * HOUR - 1, 6 * HOUR, HOUR]).problems()
    expect(found).toMatchObject({
      counter: 'c',
      events: 4,
      lateByOrder: 2,
      lateByOrderLine: 2,
      lateByClock: 0,
      behindMs: 5 * HOUR,
    })
  })

  it('tells them from those that what is counted already makes late', () => {
    const [found] = check([HOUR, 7 * HOUR, 20 * HOUR, 8 * HOUR], {
      clockOf: () => 9 * HOUR,
    }).problems()
    expect(found).toMatchObject({ lateByClock: 1, lateByClockLine: 1, lateByOrder: 1 })
    expect(found).toMatchObject({ lateByOrderLine: 4 })
  })

  it('gives each partition its own clock', () => {
    const two = check([], { partitions: 64 })
    two.add(event(90 * HOUR, 'a'), 1)
    two.add(event(HOUR, 'b'), 2)
    expect(two.problems()).toEqual([])
  })

  it('finds events from the future, which do not move the clock', () => {
    const [found] = check([NOW + HOUR, NOW - 10 * HOUR]).problems()
    expect(found).toMatchObject({ future: 1, futureLine: 1, lateByOrder: 0 })
  })
})
