import { expect, test } from 'vitest'
import { TailState, type PolledCommit, type PolledPartition } from './tail-state.ts'

const LIMITS = { entriesMax: 1_000, pruneEntriesMin: 1 }

function stateAt(floor: number): TailState {
  const loaded = { partition: 0, next: floor, floor, appendMax: 0, clocks: [7, 50], slots: [7, 3] }
  return new TailState(1, [loaded], LIMITS, () => {})
}

function commit(first: number, next: number, more: Partial<PolledCommit> = {}): PolledCommit {
  return { first, next, clocks: [], rows: [], ...more }
}

function row(slot: number, delta: bigint) {
  return {
    counter: 7,
    start: 0,
    slots: Int32Array.of(slot),
    deltas: BigInt64Array.of(delta),
    carries: undefined,
  }
}

function polled(
  next: number,
  floor: number,
  commits: PolledCommit[],
  gaps: [number, number][] = [],
): PolledPartition {
  return { partition: 0, next, floor, appendMax: 9, commits, gaps }
}

test('commits that go on where the chain ended move the position and the clocks', () => {
  const state = stateAt(10)
  const poll = polled(20, 10, [commit(10, 12, { clocks: [7, 60] }), commit(12, 20)])
  expect(state.apply([poll])).toEqual({ kind: 'applied', moved: true, behind: false })
  expect(state.next(0)).toBe(20)
  expect(state.clock(0, 7)).toBe(60)
  expect(state.appendMax(0)).toBe(9)
  expect(state.apply([polled(20, 20, [])])).toEqual({
    kind: 'applied',
    moved: false,
    behind: false,
  })
})

test('a clock never goes back, also when old commits are read after the clocks were loaded', () => {
  const state = stateAt(10)
  state.apply([polled(12, 10, [commit(10, 12, { clocks: [7, 40] })])])
  expect(state.clock(0, 7)).toBe(50)
})

test('a poll that could not read all says so and leaves the rest for the next', () => {
  const state = stateAt(0)
  const poll = polled(30, 0, [commit(0, 10)])
  expect(state.apply([poll])).toEqual({ kind: 'applied', moved: true, behind: true })
  expect(state.appendMax(0)).toBe(0)
})

test.each([
  ['a hole between commits', polled(30, 10, [commit(12, 30)]), 'gap'],
  ['a hole between two polled commits', polled(30, 10, [commit(10, 12), commit(13, 30)]), 'gap'],
  ['a position that moved without a commit', polled(30, 10, []), 'gap'],
  ['a position that went back', polled(9, 9, []), 'went-back'],
  ['a floor that went back', polled(10, 8, []), 'went-back'],
  ['a floor that has passed us', polled(30, 20, []), 'fell-behind'],
  ['a partition that is new', { ...polled(5, 5, []), partition: 3 }, 'partition-added'],
])('%s asks to be loaded again', (_what, poll, reason) => {
  expect(stateAt(10).apply([poll])).toMatchObject({ kind: 'reload', reason })
})

test('accepted gaps are crossed, in the middle and at the end; those of an older log are ignored', () => {
  const state = stateAt(10)
  const gaps: [number, number][] = [
    [12, 20],
    [25, 40],
    [11, 13],
    [500, 900],
  ]
  const poll = polled(40, 40, [commit(10, 12), commit(20, 25)], gaps)
  expect(state.apply([poll])).toMatchObject({ kind: 'applied', behind: false })
  expect(state.next(0)).toBe(40)
})

test('a position that went back above the floor asks to be loaded again', () => {
  const state = stateAt(10)
  state.apply([polled(20, 10, [commit(10, 20)])])
  expect(state.apply([polled(19, 10, [])])).toMatchObject({ kind: 'reload', reason: 'went-back' })
})

test('a partition that has vanished asks to be loaded again', () => {
  expect(stateAt(10).apply([])).toMatchObject({ kind: 'reload', reason: 'went-back' })
})

test('I8: a poll with slots above all that were seen says which look-ups must hear of', () => {
  const state = stateAt(0)
  const old = polled(1, 0, [commit(0, 1, { rows: [row(3, 1n)] })])
  expect(state.newSlots([old])).toEqual([])
  state.apply([old])
  const grown = polled(3, 0, [
    commit(1, 2, { rows: [row(5, 1n), row(0, 1n)] }),
    commit(2, 3, { rows: [row(4, 1n)] }),
  ])
  expect(state.newSlots([grown])).toEqual([{ partition: 0, counter: 7, above: 3, upTo: 5 }])
  state.apply([grown])
  expect(state.newSlots([grown])).toEqual([])
})

test('deltas that were left out change the epoch, and say that news of series was missed', () => {
  const state = stateAt(0)
  const [missed, epoch] = [state.seriesMissed, state.epoch(0)]
  state.apply([polled(5, 5, [commit(0, 5, { rows: undefined })])])
  expect(state.seriesMissed).not.toBe(missed)
  expect(state.epoch(0)).not.toBe(epoch)
  expect(state.base(0)).toBe(5)
})

test('I12: beyond the bound the fullest partition gives up its deltas, shown before they go', () => {
  const absorbed: bigint[] = []
  const loaded = [0, 1].map((partition) => {
    return { partition, next: 0, floor: 0, appendMax: 0, clocks: [], slots: [] }
  })
  const limits = { entriesMax: 3, pruneEntriesMin: 1 }
  const state = new TailState(1, loaded, limits, (...[, , , , delta]) => absorbed.push(delta()))
  const rows = [row(1, 5n), row(1, 6n)]
  state.apply([
    polled(1, 0, [commit(0, 1, { rows })]),
    { ...polled(2, 0, [commit(0, 2, { rows: [...rows, row(2, 7n)] })]), partition: 1 },
  ])
  expect(state.entries).toBe(2)
  expect(state.base(1)).toBe(2)
  expect(absorbed).toEqual([5n, 6n, 7n])
  expect(state.sumSince(0, 7, 1, 0)).toBe(11n)
})
