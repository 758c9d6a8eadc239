import { createLogger } from '@countersink/shared/log'
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { createKeeper } from './keeper.ts'
import { LIMITS } from './limits.ts'
import { createOwnedPartition, type OwnedPartition } from './owned-partition.ts'

function ownedPartition(partition: number): OwnedPartition {
  const offsets = { next: 0, floor: 0, idsFloor: 0, revision: 0, appendMax: 0 }
  return createOwnedPartition(
    { partition, ...offsets, record: undefined, halted: undefined },
    'token',
  )
}

/** A keeper whose claims take until `claimed` is called; of what is claimed it hears before it ends. */
function setUp(onClaimed: (owned: OwnedPartition) => void = () => {}) {
  const owned = new Map<number, OwnedPartition>()
  const claims = Promise.withResolvers<void>()
  const pause = vi.fn<(partition: number) => void>()
  const resume = vi.fn<(partition: number, offset?: number) => void>()
  const keeper = createKeeper({
    schema: 'countersink_1',
    pool: new pg.Pool(),
    ownership: {
      get: (partition) => owned.get(partition),
      all: () => [...owned.values()],
      loaded: () => [],
      drop: (partition) => void owned.delete(partition),
      async acquire(partitions) {
        await claims.promise
        for (const partition of partitions) {
          const one = ownedPartition(partition)
          owned.set(partition, one)
          onClaimed(one)
        }
        return new Map(partitions.map((partition) => [partition, 0]))
      },
    },
    committer: {
      start: () => {},
      notify: () => {},
      room: async () => {},
      flush: async () => {},
      doubtNumbers: () => {},
      stop: async () => {},
      failingForMs: () => 0,
    },
    sweep: async () => {},
    consumer: {
      pause,
      resume,
      commitAdvisory: async () => {},
      lastFetchAt: () => 0,
      lastContactAt: () => Infinity,
    },
    logger: createLogger('keeper', 'silent'),
    onFatal: () => {},
  })
  return { keeper, owned, pause, resume, claimed: () => claims.resolve() }
}

test('a partition that is revoked while it is claimed is not kept, nor claimed again', async () => {
  const { keeper, owned, pause, claimed } = setUp()
  const assigned = keeper.assigned([0, 1])
  keeper.revoked([1])
  claimed()
  expect([...(await assigned).keys()]).toEqual([0])
  expect([...owned.keys()]).toEqual([0])
  // What is dropped while it is assigned is paused, to be claimed again.
  keeper.fenced(ownedPartition(1))
  expect(pause).not.toHaveBeenCalled()
  keeper.fenced(owned.get(0) ?? ownedPartition(0))
  expect(pause).toHaveBeenCalledExactlyOnceWith(0)
})

test('a partition that is fenced before its claim has ended is claimed again, not left to nobody', async () => {
  vi.useFakeTimers()
  let claims = 0
  const { keeper, owned, pause, resume, claimed } = setUp((one) => {
    if (claims++ === 0) keeper.fenced(one)
  })
  claimed()
  await keeper.assigned([0])
  expect(owned.get(0)).toBeUndefined()
  keeper.start()
  await vi.advanceTimersByTimeAsync(LIMITS.beatIntervalMs)
  expect(claims).toBe(2)
  expect(owned.get(0)).toBeDefined()
  expect(pause).toHaveBeenCalledExactlyOnceWith(0)
  expect(resume).toHaveBeenCalledExactlyOnceWith(0, 0)
  keeper.revoked([0])
  await keeper.stop()
  vi.useRealTimers()
})
