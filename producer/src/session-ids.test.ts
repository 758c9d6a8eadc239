import { LIMITS } from '@countersink/shared/event'
import { parseContracts } from '@countersink/shared/contracts'
import { parseSdkId } from '@countersink/shared/sdk-id'
import { expect, test } from 'vitest'
import { COUNTERS_MAX, type SessionCounter, SessionIds } from './session-ids.ts'

function counterOf(ids: SessionIds, name: string): SessionCounter {
  const counter = ids.counterOf(name)
  if (counter === undefined) throw new Error(`there is no counter ${name}`)
  return counter
}

test('ids are dense in each lane, and a lane is a counter in a partition', () => {
  const ids = new SessionIds(1_700_000_000_000)
  const [a, b] = [counterOf(ids, 'a'), counterOf(ids, 'b')]
  const lanes = [ids.laneOf(a, 0), ids.laneOf(a, 7), ids.laneOf(b, 7), ids.laneOf(a, 0)]
  expect(lanes.map((lane) => ids.next(lane).slice(ids.session.length))).toEqual([
    '.0.0',
    '.7.0',
    '.65543.0',
    '.0.1',
  ])
  expect(counterOf(ids, 'a')).toBe(a)
})

test('what is made is read as made, up to the last lane', () => {
  const ids = new SessionIds(Date.now())
  for (let i = 1; i < COUNTERS_MAX; i++) ids.counterOf(`c${i}`)
  const last = ids.laneOf(counterOf(ids, 'last'), 65_535)
  const { session } = ids
  expect(parseSdkId(ids.next(last))).toEqual({ session, lane: 2 ** 31 - 1, sequence: 0 })
})

test('beyond the lanes that there are, ids are unique and have another form', () => {
  const ids = new SessionIds(Date.now())
  for (let i = 0; i < COUNTERS_MAX; i++) ids.counterOf(`c${i}`)
  const lanes = [
    ids.laneOf(counterOf(ids, 'one more'), 0),
    ids.laneOf(counterOf(ids, 'another'), 0),
    ids.laneOf(counterOf(ids, 'c0'), 65_536),
  ]
  const made = lanes.flatMap((lane) => [ids.next(lane), ids.next(lane)])
  expect(new Set(made).size).toBe(6)
  expect(made.map(parseSdkId)).toEqual(made.map(() => undefined))
})

test('a counter must be one that an event can have, and that the contracts know', () => {
  const strict = new SessionIds(0, parseContracts('unknownCounters: reject\ncounters: {a: }'))
  expect(strict.counterOf('a')?.contract).toBeDefined()
  expect(strict.counterOf('b')).toBeUndefined()
  const open = new SessionIds(0)
  expect(open.counterOf('a')?.contract).toBeUndefined()
  const wrong = ['', ' ', 'x'.repeat(LIMITS.counterBytesMax + 1), 'a\u0000', '\ud800']
  for (const name of wrong) expect(open.counterOf(name)).toBeUndefined()
})

test('sessions differ even in the same millisecond, and sort by their start', () => {
  const sessions = new Set(Array.from({ length: 1000 }, () => new SessionIds(5).session))
  expect(sessions.size).toBe(1000)
  const times = [0, 1_700_000_000_000, 1_700_000_000_001].map((ms) => new SessionIds(ms).session)
  expect(times.toSorted()).toEqual(times)
})

test.each([0, 1_700_000_000_000.5, -1, Number.NaN, Infinity, 36 ** 9])(
  'a session that began at %d by the clock of its caller has ids of the form',
  (nowMs) => {
    const ids = new SessionIds(nowMs)
    const { session } = ids
    const id = ids.next(ids.laneOf(counterOf(ids, 'c'), 0))
    expect(parseSdkId(id)).toEqual({ session, lane: 0, sequence: 0 })
  },
)
