import { createLogger } from '@countersink/shared/log'
import pg from 'pg'
import { expect, test } from 'vitest'
import { createCooler } from './cooler.ts'
import { addHashed, hashedState } from './core/ids/id-samples.ts'
import { createOwnedPartition, type OwnedPartition } from './owned-partition.ts'
import { CounterIds } from './postgres/counter-ids.ts'

const IDS = 1000

class AllNumbered extends CounterIds {
  override has(): boolean {
    return true
  }

  override of(): number {
    return 1
  }
}

function owned(partition: number): OwnedPartition {
  const offsets = { partition, next: 0, floor: 0, idsFloor: 0, revision: 0, appendMax: 0 }
  return createOwnedPartition({ ...offsets, record: undefined, halted: undefined }, 'token')
}

function coolerOf(all: OwnedPartition[], idsBytesMax: number) {
  const halted: number[] = []
  const cooler = createCooler({
    schema: 'countersink_1',
    pool: new pg.Pool(),
    ownership: {
      all: () => all,
      loaded: () => all.filter(({ state }) => state !== undefined),
      async halt({ partition }) {
        halted.push(partition)
      },
    },
    counterIds: new AllNumbered('countersink_1'),
    idsBytesMax,
    logger: createLogger('test', 'silent'),
    onLookedUp: () => expect.unreachable(),
  })
  return { cooler, halted }
}

/** What a connection of which no answer comes does. */
function silentClient(): pg.Client {
  return new pg.Client()
}

test('I12: while ids of a partition that loads leave the memory, no other is halted or refused', async () => {
  const [healthy, leaving, other] = [owned(0), owned(1), owned(2)]
  healthy.state = hashedState()
  addHashed(healthy.state, 'new', IDS)
  const [old, fresh] = [hashedState(), hashedState()]
  addHashed(old, 'old', IDS)
  addHashed(fresh, 'new', IDS)
  const all = [healthy, leaving, other]
  const { cooler, halted } = coolerOf(all, 2.5 * IDS * 20)
  let ended = 0
  const end = (): number => ended++
  cooler.loadRoom(leaving).expect(old, 0)
  cooler.loadRoom(other).expect(fresh, 0)
  cooler.loadRoom(leaving).settle(silentClient(), old, 0).catch(end)
  expect([...old.ids.hashed.buckets()][0]?.cooling?.count).toBe(IDS)
  const loaded = cooler.loadRoom(other).settle(silentClient(), fresh, 0)
  other.building = undefined
  // It is full of what that partition has, which nobody but it can help.
  other.state = fresh
  const waiting = cooler.room(healthy)
  expect(halted).toEqual([])
  leaving.building = undefined
  await Promise.all([loaded, waiting])
  expect(halted).toEqual([])
  expect(ended).toBe(0)
  await cooler.stop()
})

test('I12: where nothing leaves the memory and nothing may, the partition with most halts', async () => {
  const [small, large] = [owned(0), owned(1)]
  small.state = hashedState()
  large.state = hashedState()
  addHashed(small.state, 'new', IDS)
  addHashed(large.state, 'new', 2 * IDS)
  const { cooler, halted } = coolerOf([small, large], 2 * IDS * 20)
  await cooler.room(small)
  expect(halted).toEqual([1])
  await cooler.stop()
})

test('before a load is refused, even a bucket of few ids leaves the memory', () => {
  const one = owned(0)
  const state = hashedState()
  addHashed(state, 'new', 100 * IDS)
  addHashed(state, 'old', 10)
  const { cooler } = coolerOf([one], 100 * IDS * 20)
  cooler.loadRoom(one).settle(silentClient(), state, 0).catch(expect.unreachable)
  const cooling = [...state.ids.hashed.buckets()].map((bucket) => bucket.cooling?.count)
  expect(cooling).toEqual([undefined, 10])
})
