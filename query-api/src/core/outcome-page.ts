import type { OutcomeEntry } from '@countersink/shared/outcomes'

export type OutcomePage = {
  /** Where the partition's counting began. */
  start: number
  /** Everything before it is counted. */
  next: number
  outcomes: OutcomeEntry[]
  /** Ranges that no kept commit has: an accepted gap, or commits that were dropped since. */
  gaps: [from: number, to: number][]
  /** Everything in the range before it is in `outcomes`; the next page begins here. */
  readTo: number
}

/** Entries in one page; the entries of one offset are never split. */
export const OUTCOMES_MAX = 10_000

/**
 * Adds one commit's outcomes, in order, to the page of a range that ends before `to`; false when
 * the page is full or the range at its end.
 */
export function addCommitOutcomes(
  page: OutcomePage,
  commit: { first: number; next: number },
  entries: Iterable<OutcomeEntry>,
  to: number,
): boolean {
  if (commit.next <= page.readTo) return true
  if (commit.first > page.readTo) page.gaps.push([page.readTo, Math.min(to, commit.first)])
  const from = page.readTo
  let last = -1
  for (const entry of entries) {
    if (entry.offset < from) continue
    if (entry.offset >= to) break
    if (page.outcomes.length >= OUTCOMES_MAX && entry.offset !== last) {
      page.readTo = entry.offset
      return false
    }
    page.outcomes.push(entry)
    last = entry.offset
  }
  page.readTo = Math.min(to, commit.next)
  return page.readTo < to
}

/** When there are no further commits, what is missing up to the position is a gap as well. */
export function endOutcomes(page: OutcomePage, to: number): void {
  const end = Math.min(to, page.next)
  if (page.readTo >= end) return
  page.gaps.push([page.readTo, end])
  page.readTo = end
}
