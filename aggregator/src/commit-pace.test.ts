import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { CommitPace } from './commit-pace.ts'
import type { PartitionState } from './core/partition-state.ts'
import { emptyState } from './core/state-samples.ts'
import { LIMITS } from './limits.ts'
import { createOwnedPartition, type OwnedPartition } from './owned-partition.ts'

const LIVE_MS = 10

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  vi.advanceTimersByTime(60_000)
})

afterEach(() => {
  vi.useRealTimers()
})

function ownedPartition(): OwnedPartition {
  const owned = createOwnedPartition(
    {
      partition: 0,
      next: 0,
      floor: 0,
      idsFloor: 0,
      revision: 0,
      appendMax: 0,
      record: undefined,
      halted: undefined,
    },
    'token',
  )
  owned.state = emptyState()
  return owned
}

/** A pace that has just committed, over one partition. */
function setUp() {
  const owned = ownedPartition()
  const pace = new CommitPace({ loaded: () => [owned] }, LIVE_MS)
  pace.committed()
  return { owned, state: owned.state!, pace }
}

function foldOne(state: PartitionState): void {
  state.next++
  state.ledger.applied++
}

function makeDirty(state: PartitionState): void {
  state.dirt.sums.add(state.dirt.sums.block(state.dirt.sums.family(0, 0, 0), 0, 0), 0, 1)
}

test('with nothing folded and nothing dirty no commit is due', () => {
  const { pace } = setUp()
  vi.advanceTimersByTime(60_000)
  expect(pace.due(false)).toBeUndefined()
  expect(pace.due(true)).toBeUndefined()
})

test('live, a commit is due as soon as the interval has passed, or at once when draining', () => {
  const { pace, state } = setUp()
  foldOne(state)
  expect(pace.due(false)).toBeUndefined()
  expect(pace.due(true)).toBe('live')
  vi.advanceTimersByTime(LIVE_MS)
  expect(pace.due(false)).toBe('live')
})

test('idle, dirty pages are written after a while, but not when draining', () => {
  const { pace, state } = setUp()
  makeDirty(state)
  vi.advanceTimersByTime(LIMITS.idleFlushMs - 1)
  expect(pace.due(false)).toBeUndefined()
  vi.advanceTimersByTime(1)
  expect(pace.due(false)).toBe('idle')
  expect(pace.due(true)).toBeUndefined()
})

test('idle, runs that lack their filters get them, as dirty pages are written', () => {
  const { pace, state } = setUp()
  const counter = state.counters.list[state.counters.deal(Buffer.from('views'))]!
  counter.runs.restore({ first: 0, until: 10 }, false)
  expect(pace.due(false)).toBeUndefined()
  vi.advanceTimersByTime(LIMITS.idleFlushMs)
  expect(pace.due(false)).toBe('idle')
  expect(pace.due(true)).toBeUndefined()
  pace.begun('idle')
  expect(pace.takesPart(state)).toBe(true)
  counter.runs.takeUnfiltered(10)
  expect(pace.due(false)).toBeUndefined()
  expect(pace.takesPart(state)).toBe(false)
})

test('behind, commits wait until they are large or old', () => {
  const { pace, state, owned } = setUp()
  owned.logEnd = 10 * LIMITS.behindEventsPerCommit
  foldOne(state)
  vi.advanceTimersByTime(LIMITS.behindCommitIntervalMs - 1)
  expect(pace.due(false)).toBeUndefined()
  state.ledger.applied = LIMITS.behindEventsPerCommit
  expect(pace.due(false)).toBe('behind')
  state.ledger.applied = 1
  vi.advanceTimersByTime(1)
  expect(pace.due(false)).toBe('behind')
})

test('a halted partition that is far behind does not slow the others down', () => {
  const [live, halted] = [ownedPartition(), ownedPartition()]
  halted.logEnd = 2 * LIMITS.behindEventsMin
  halted.halted = 'offset 0 cannot be read'
  const pace = new CommitPace({ loaded: () => [live, halted] }, LIVE_MS)
  pace.committed()
  foldOne(live.state!)
  vi.advanceTimersByTime(LIVE_MS)
  expect(pace.due(false)).toBe('live')
})

test('behind, a commit is large enough when no more waits than it has', () => {
  const { pace, state, owned } = setUp()
  foldOne(state)
  owned.logEnd = state.next + 2 * LIMITS.behindEventsMin
  state.ledger.applied = 2 * LIMITS.behindEventsMin - 1
  expect(pace.due(false)).toBeUndefined()
  state.ledger.applied = 2 * LIMITS.behindEventsMin
  expect(pace.due(false)).toBe('behind')
})

test('the commit that has caught up writes all pages, if it is large', () => {
  const { pace, state } = setUp()
  foldOne(state)
  vi.advanceTimersByTime(LIVE_MS)
  state.ledger.applied = LIMITS.flushEventsMin - 1
  expect(pace.due(false)).toBe('live')
  state.ledger.applied = LIMITS.flushEventsMin
  expect(pace.due(false)).toBe('flush')
})

test('the commit after one that was behind writes all pages, even if nothing moved', () => {
  const { pace, state } = setUp()
  makeDirty(state)
  pace.begun('behind')
  pace.committed()
  expect(pace.due(false)).toBe('flush')
  foldOne(state)
  vi.advanceTimersByTime(LIVE_MS)
  expect(pace.due(true)).toBe('live')
  expect(pace.due(false)).toBe('flush')
  pace.begun('flush')
  pace.committed()
  vi.advanceTimersByTime(LIVE_MS)
  expect(pace.due(false)).toBe('live')
})

test('live, a silent partition has its turn once a second', () => {
  const { pace, state } = setUp()
  makeDirty(state)
  vi.advanceTimersByTime(LIMITS.quietTurnMs)
  pace.begun('live')
  expect(pace.takesPart(state)).toBe(true)
  vi.advanceTimersByTime(LIMITS.quietTurnMs - 1)
  pace.begun('live')
  expect(pace.takesPart(state)).toBe(false)
  foldOne(state)
  expect(pace.takesPart(state)).toBe(true)
})

test('behind is told by events: few packed records can hold many', () => {
  const { pace, state, owned } = setUp()
  owned.logEnd = 100
  foldOne(state)
  vi.advanceTimersByTime(LIVE_MS)
  expect(pace.due(false)).toBe('live')
  owned.density.add(1, LIMITS.behindEventsMin / 50)
  expect(pace.due(false)).toBeUndefined()
  state.next = 90
  expect(pace.due(false)).toBe('live')
})

test('a hurried commit is due at once and writes all pages', () => {
  const { pace, state } = setUp()
  pace.hurry()
  expect(pace.due(false)).toBeUndefined()
  makeDirty(state)
  expect(pace.due(false)).toBe('flush')
  // One that comes while this is under way asks for another.
  pace.begun('flush')
  pace.hurry()
  pace.committed()
  expect(pace.due(false)).toBe('flush')
  pace.begun('flush')
  expect(pace.due(false)).toBeUndefined()
})

test('I12: who has no room waits, makes a commit due, and goes on when it is over', async () => {
  const { pace, state, owned } = setUp()
  owned.logEnd = LIMITS.behindEventsMin + 10
  foldOne(state)
  await pace.room(owned)
  state.ledger.applied = LIMITS.pendingEventsMax
  let hasRoom = false
  const waiting = pace.room(owned).then(() => (hasRoom = true))
  expect(pace.due(false)).toBe('behind')
  state.ledger.reset(state.next)
  await Promise.resolve()
  expect(hasRoom).toBe(false)
  pace.committed()
  await waiting
  expect(hasRoom).toBe(true)
})

test('a wait ends with what is folded, or when it is over, and leaves no timer', async () => {
  const { pace } = setUp()
  const abort = new AbortController()
  const notified = pace.wait(abort.signal)
  pace.notify()
  await notified
  const timed = pace.wait(abort.signal)
  vi.advanceTimersByTime(LIMITS.idleFlushMs)
  await timed
  const aborted = pace.wait(abort.signal)
  abort.abort()
  await aborted
  expect(vi.getTimerCount()).toBe(0)
})

test('who waits for room is let go when the state is dropped and no commit is due', async () => {
  const { owned, state } = setUp()
  const loaded = [owned]
  const pace = new CommitPace({ loaded: () => loaded }, LIVE_MS)
  state.next++
  state.ledger.applied = LIMITS.pendingEventsMax
  let hasRoom = false
  const room = pace.room(owned).then(() => (hasRoom = true))
  owned.state = undefined
  loaded.length = 0
  expect(pace.due(false)).toBeUndefined()
  const abort = new AbortController()
  const waiting = pace.wait(abort.signal)
  await vi.advanceTimersByTimeAsync(0)
  expect(hasRoom).toBe(true)
  abort.abort()
  await Promise.all([room, waiting])
})
