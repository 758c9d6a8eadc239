import type { OutcomeEntry } from '@countersink/shared/outcomes'
import { expect, test } from 'vitest'
import { addCommitOutcomes, endOutcomes, OUTCOMES_MAX, type OutcomePage } from './outcome-page.ts'

function pageFrom(from: number, next: number): OutcomePage {
  return { start: 0, next, outcomes: [], gaps: [], readTo: from }
}

function duplicate(offset: number, index = 0): OutcomeEntry {
  return { offset, index, outcome: 'duplicate' }
}

test('entries of the range only, from commits that reach over its ends', () => {
  const page = pageFrom(5, 30)
  const entries = [duplicate(4), duplicate(5), duplicate(9)]
  expect(addCommitOutcomes(page, { first: 0, next: 10 }, entries, 20)).toBe(true)
  expect(page.readTo).toBe(10)
  const more = [duplicate(19), duplicate(20)]
  expect(addCommitOutcomes(page, { first: 10, next: 30 }, more, 20)).toBe(false)
  expect(page.outcomes).toEqual([duplicate(5), duplicate(9), duplicate(19)])
  expect(page.readTo).toBe(20)
})

test('offsets that no commit has are gaps', () => {
  const page = pageFrom(0, 50)
  addCommitOutcomes(page, { first: 10, next: 20 }, [], 40)
  addCommitOutcomes(page, { first: 25, next: 30 }, [], 40)
  endOutcomes(page, 40)
  expect(page.gaps).toEqual([
    [0, 10],
    [20, 25],
    [30, 40],
  ])
  expect(page.readTo).toBe(40)
})

test('what is not counted yet is no gap', () => {
  const page = pageFrom(0, 20)
  addCommitOutcomes(page, { first: 0, next: 20 }, [], 100)
  endOutcomes(page, 100)
  expect(page).toMatchObject({ gaps: [], readTo: 20 })
})

test('a full page ends between two offsets, and the next one goes on there', () => {
  const entries = Array.from({ length: OUTCOMES_MAX + 4 }, (_, i) =>
    // The last offset that fits has three entries.
    i < OUTCOMES_MAX - 1
      ? duplicate(i)
      : duplicate(OUTCOMES_MAX - 1 + Math.floor((i - OUTCOMES_MAX + 1) / 3), i % 3),
  )
  const commit = { first: 0, next: 20_000 }
  const page = pageFrom(0, 20_000)
  expect(addCommitOutcomes(page, commit, entries, 20_000)).toBe(false)
  const rest = pageFrom(page.readTo, 20_000)
  expect(addCommitOutcomes(rest, commit, entries, 20_000)).toBe(false)
  expect([...page.outcomes, ...rest.outcomes]).toEqual(entries)
  expect(rest.outcomes[0]?.offset).not.toBe(page.outcomes.at(-1)?.offset)
  expect(rest.readTo).toBe(20_000)
})
