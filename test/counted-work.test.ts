import { expect, test } from 'vitest'
import type { Encoding } from '../bench/topic-load.ts'
import { countWork, type Work } from './counted-work.ts'
import { type Patch, patchAggregator } from './patched-aggregator.ts'

/*
 * What catching up may cost, in counted work: wall time says more of the machine than of the code.
 * Each bound is about twice what was counted when it was set, and stands beside that.
 */
const BOUNDS: Record<Encoding, Work> = {
  json: {
    statementsPerCommit: 18, // 7.5
    writesPerPage: 3, // 1.1 to 1.2
    commits: 17, // 7 to 8; on a slow machine more, since a commit comes every 2 s
    walBytesPerEvent: 40, // 18.5
    allocatedBytesPerEvent: 130, // 53 to 58
    cpuMicrosPerEvent: 15, // 3 to 4
  },
  packed: {
    statementsPerCommit: 18, // 8.0 to 8.2
    writesPerPage: 3, // 1.0 to 1.1
    commits: 15, // 4 to 5
    walBytesPerEvent: 5, // 2.1
    allocatedBytesPerEvent: 40, // 15 to 18
    cpuMicrosPerEvent: 6, // 0.6 to 0.8
  },
}

/** These depend on how quick the machine is: their bounds are as wide as the slowest needs. */
const OF_THE_MACHINE = new Set<string>(['commits', 'cpuMicrosPerEvent'])

/** How many times its count a bound may be on any machine: a wider one guards nothing. */
const SLACK_MAX = 5

/** The names of the counts that would be over their bound if they were `factor` times as high. */
function exceeded(work: Work, bounds: Work, factor = 1): string[] {
  const entries = Object.entries(bounds)
  return entries
    .filter(([name, bound]) => Number(Reflect.get(work, name)) * factor > Number(bound))
    .map(([name]) => name)
}

test.each(['json', 'packed'] as const)(
  'catching up costs no more than it did: %s',
  async (encoding) => {
    const work = await countWork(encoding)
    const bounds = BOUNDS[encoding]
    expect(exceeded(work, bounds), JSON.stringify(work)).toEqual([])
    const counted = Object.keys(bounds).filter((name) => !OF_THE_MACHINE.has(name))
    expect(exceeded(work, bounds, SLACK_MAX), JSON.stringify(work)).toEqual(
      expect.arrayContaining(counted),
    )
  },
)

type Regression = { name: string; patch: Patch; seenIn: (keyof Work)[] }

const REGRESSIONS: Regression[] = [
  {
    name: 'many small statements',
    patch: {
      file: 'postgres/commit.ts',
      from: '...pruneRejects(schema, parts),',
      to: `...pruneRejects(schema, parts),
    ...Array.from({ length: 20 }, () => ({ text: 'select 1', values: [] })),`,
    },
    seenIn: ['statementsPerCommit'],
  },
  {
    name: 'small commits, each with all its pages',
    patch: {
      file: 'limits.ts',
      // Whoever waits for room makes a commit due, however quick the machine folds.
      from: 'pendingEventsMax: 1_000_000',
      to: 'pendingEventsMax: 1_000',
    },
    seenIn: ['writesPerPage', 'commits'],
  },
  {
    name: 'ids stored several times',
    patch: {
      file: 'postgres/seal.ts',
      from: 'clocks, ids, outcomes })',
      to: 'clocks, ids: Buffer.concat([ids, ids, ids, ids]), outcomes })',
    },
    seenIn: ['walBytesPerEvent'],
  },
  {
    name: 'objects for every event',
    patch: {
      file: 'core/fold.ts',
      from: 'ledger.applied++',
      to: `ledger.applied++
    for (let i = 0; i < 80; i++) JSON.parse('{"a":[1,2,3]}')`,
    },
    seenIn: ['allocatedBytesPerEvent', 'cpuMicrosPerEvent'],
  },
]

test.each(REGRESSIONS)('it would be seen: $name', async ({ patch, seenIn }) => {
  const patched = await patchAggregator([patch])
  try {
    const work = await countWork('json', patched.root)
    expect(exceeded(work, BOUNDS.json), JSON.stringify(work)).toEqual(
      expect.arrayContaining(seenIn),
    )
  } finally {
    await patched.remove()
  }
})
