import { expect, test } from 'vitest'
import { GUARANTEES, type GuaranteeName } from './guarantees.ts'
import { type Patch, patchAggregator } from './patched-aggregator.ts'

// A check that cannot fail is worth nothing: each guarantee is shown to hold for the aggregator as
// it is, and to fail for copies of it from which the thing that gives the guarantee was taken.

type Mutant = { name: string; caughtBy: GuaranteeName; patches: Patch[] }

const FENCE: GuaranteeName = 'I4: a claim fences the commit of the owner before'
const LOST_ANSWER: GuaranteeName = 'I4: a commit whose answer was lost is looked up'
const COPIES: GuaranteeName = 'I5: copies never count, however late and after a kill'
const MADE_COPIES: GuaranteeName =
  'I5: copies of SDK-made ids never count, however late and after a kill'
const COLD_COPIES: GuaranteeName = 'I5: copies of ids that left the memory never count'
const NAMES: GuaranteeName = 'I1, I3: names of series stay, however runs merge and after a kill'
const PAGES: GuaranteeName = 'I13, I14: page + dirt is exact at every moment and after kills'

const MUTANTS: Mutant[] = [
  {
    name: 'a merge deletes a run too many',
    caughtBy: NAMES,
    patches: [
      {
        file: 'postgres/series-rows.ts',
        from: 'and r.first >= u.first and',
        to: 'and r.first >= u.first - 8 and',
      },
    ],
  },
  {
    name: 'names in the order of their slots',
    caughtBy: NAMES,
    patches: [
      {
        file: 'postgres/series-rows.ts',
        from: 'const sorted = sortedSlots(dictionary, run.first, run.until)',
        to: 'const sorted = sortedSlots(dictionary, run.first, run.until).sort()',
      },
    ],
  },
  {
    name: 'ids in Postgres are not asked for',
    caughtBy: COLD_COPIES,
    patches: [
      {
        file: 'core/ids/id-memory.ts',
        from: 'if (this.cold.isEmpty) return false',
        to: 'if (this.cold.isEmpty || columns.count > 0) return false',
      },
    ],
  },
  {
    name: 'a filter that forgets',
    caughtBy: COLD_COPIES,
    patches: [
      {
        file: 'core/ids/fuse-filter.ts',
        from: 'return (found & this.#mask) === (fingerprint(a, b) & this.#mask)',
        to: 'return h1 % 3 !== 0 && (found & this.#mask) === (fingerprint(a, b) & this.#mask)',
      },
    ],
  },
  {
    name: 'what a bucket gets after it left the memory is not loaded',
    caughtBy: COLD_COPIES,
    patches: [
      {
        file: 'postgres/load-ids.ts',
        from: '(first < through || isCarried)',
        to: '(first < Infinity || isCarried)',
      },
    ],
  },
  {
    name: 'no compare-and-set',
    caughtBy: FENCE,
    patches: [
      {
        file: 'postgres/commit.ts',
        from: `and p.next = u.first and p.token = u.token
        and p.revision = u.revision`,
        to: '',
      },
    ],
  },
  {
    name: 'no token',
    caughtBy: FENCE,
    patches: [{ file: 'postgres/commit.ts', from: 'and p.token = u.token', to: '' }],
  },
  {
    name: 'blind retry of COMMIT',
    caughtBy: LOST_ANSWER,
    patches: [
      {
        file: 'committer.ts',
        from: `if (result.kind === 'unsettled') uncertain = true`,
        to: `if (result.kind === 'unsettled') uncertain = false`,
      },
    ],
  },
  {
    name: 'no dedup reload',
    caughtBy: COPIES,
    patches: [{ file: 'postgres/load.ts', from: 'await loadIds(client, request, state)', to: '' }],
  },
  {
    name: 'dedup off by one commit',
    caughtBy: COPIES,
    patches: [
      {
        file: 'postgres/load-ids.ts',
        from: `restoreIds(state, ordinals, ids, first, 'ids')`,
        to: `if (first !== rows.at(-1)?.first) restoreIds(state, ordinals, ids, first, 'ids')`,
      },
    ],
  },
  {
    name: 'intervals not reloaded at take-over',
    caughtBy: MADE_COPIES,
    patches: [{ file: 'postgres/load-ids.ts', from: 'restoreIntervals(group.body,', to: 'void (' }],
  },
  {
    name: 'intervals of the last commit lost',
    caughtBy: MADE_COPIES,
    patches: [
      {
        file: 'postgres/load-ids.ts',
        from: `restoreIds(state, ordinals, ids, first, 'ids')`,
        to: `if (first !== rows.at(-1)?.first) restoreIds(state, ordinals, ids, first, 'ids')`,
      },
    ],
  },
  {
    name: 'intervals expire too early',
    caughtBy: MADE_COPIES,
    patches: [
      {
        file: 'core/fold.ts',
        from: 'const lateBefore = at - counter.latenessMs',
        to: 'const lateBefore = at - counter.latenessMs / 2',
      },
    ],
  },
  {
    name: 'no ledger write',
    caughtBy: COPIES,
    patches: [
      {
        file: 'postgres/commit.ts',
        from: `read = p.read + u.read, applied = p.applied + u.applied,
        duplicate = p.duplicate + u.duplicate, conflict = p.conflict + u.conflict,
        late = p.late + u.late, invalid = p.invalid + u.invalid,
        misrouted`,
        to: 'misrouted',
      },
    ],
  },
  {
    name: 'expiry too early',
    caughtBy: COPIES,
    patches: [
      {
        file: 'core/fold.ts',
        from: 'const lateBefore = at - counter.latenessMs',
        to: 'const lateBefore = at - counter.latenessMs / 2',
      },
    ],
  },
  {
    name: 'a page written without its next',
    caughtBy: PAGES,
    patches: [
      {
        file: 'postgres/page-writes.ts',
        from: 'set next = excluded.next, small_totals',
        to: 'set small_totals',
      },
    ],
  },
  {
    name: 'dirt of the next batch leaks into a sealed layer',
    caughtBy: PAGES,
    patches: [
      {
        file: 'committer.ts',
        from: 'pages.add(state, due, next, counterIds)',
        to: `await sleep(20)
    state.dirt.absorb(state.open, state.first, state.counters.list)
    pages.add(state, due, next, counterIds)`,
      },
    ],
  },
  {
    name: 'dirt lost at a take-over',
    caughtBy: PAGES,
    patches: [{ file: 'postgres/load.ts', from: 'await loadDirt(client, request, state)', to: '' }],
  },
  {
    name: 'stored pages taken for new ones after a take-over',
    caughtBy: PAGES,
    patches: [
      { file: 'postgres/load.ts', from: 'state.dirt.stored.loaded(ordinal, clock)', to: '' },
    ],
  },
  {
    name: 'pages written since the load taken for new ones',
    caughtBy: PAGES,
    patches: [
      { file: 'core/sums/dirt.ts', from: 'this.stored.add(key)', to: '' },
      { file: 'limits.ts', from: 'pagesCachedMin: 128', to: 'pagesCachedMin: 1' },
    ],
  },
]

test.each(Object.entries(GUARANTEES))('%s', async (_, guarantee) => {
  const { actual, expected } = await guarantee(undefined)
  expect(actual).toEqual(expected)
})

/** Every commit is one of an aggregator that is behind. */
const BEHIND: Patch[] = [
  { file: 'limits.ts', from: 'behindEventsMin: 50_000', to: 'behindEventsMin: 0' },
  { file: 'limits.ts', from: 'behindEventsPerCommit: 500_000', to: 'behindEventsPerCommit: 1' },
]
const FLOOR_TOO_FAR: Patch = {
  file: 'committer.ts',
  from: 'part.floor = state.dirt.floor(next)',
  to: 'part.floor = next',
}

test.each([
  ['as it is', [], true],
  ['mutant: the floor passes pages that wait', [FLOOR_TOO_FAR], false],
] as const)('pages that wait for the next commit of a catch-up: %s', async (_, patches, holds) => {
  const copy = await patchAggregator([...BEHIND, ...patches])
  try {
    const { actual, expected } = await GUARANTEES[PAGES](copy.root)
    // Hardly a page waits for long, so how many kills left some behind is not the same each time.
    const sums = (one: unknown): unknown => Object.assign({}, one, { killsWithDirt: 0 })
    if (holds) expect(sums(actual)).toEqual(sums(expected))
    else expect(sums(actual)).not.toEqual(sums(expected))
  } finally {
    await copy.remove()
  }
})

test.each(MUTANTS)('mutant: $name', async ({ caughtBy, patches }) => {
  const copy = await patchAggregator(patches)
  try {
    const { actual, expected } = await GUARANTEES[caughtBy](copy.root)
    expect(actual).not.toEqual(expected)
  } finally {
    await copy.remove()
  }
})
