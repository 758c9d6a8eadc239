import { freePort } from '@countersink/local/ports'
import { expect, test } from 'vitest'
import { metricOf } from '../bench/metrics.ts'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { blockEventLoop } from './event-loop-block.ts'
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

/** What the local stack sets. */
const SESSION_TIMEOUT_MS = 4000
const WRITER = 'countersink-aggregator-writer'
const COUNTED_AGAIN_MS_MAX = 8000

let bed: CountedBed

async function startAggregator(env: Record<string, string> = {}): Promise<ServiceHandle> {
  return await bed.startService('aggregator', { env, until: 'alive' })
}

/** owner -> its partitions, as they were claimed. */
async function owners(): Promise<Map<string, number[]>> {
  const rows = await bed.sql<{ owner: string; partitions: number[] }>(
    `select owner, array_agg(partition) as partitions from countersink_1.partitions
     group by owner`,
  )
  return new Map(rows.map(({ owner, partitions }) => [owner, partitions]))
}

async function partitionsOf({ pid }: ServiceHandle): Promise<number[]> {
  const entry = [...(await owners())].find(([owner]) => owner.endsWith(`-${pid()}`))
  return entry?.[1] ?? []
}

async function untilShared(a: ServiceHandle, b: ServiceHandle): Promise<void> {
  const check = async (): Promise<boolean> =>
    (await partitionsOf(a)).length === 2 && (await partitionsOf(b)).length === 2
  await waitFor(check, { what: 'each to own two partitions' })
}

async function expectCountedOnce(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
  const halted = await bed.sql('select from countersink_1.partitions where halted is not null')
  expect(halted.length).toBe(0)
}

type Pair = { peer: ServiceHandle; zombie: ServiceHandle; proxy: PostgresProxy }

/** Two aggregators with two partitions each, the second one's database by way of a proxy. */
async function withPair(env: Record<string, string>, work: (pair: Pair) => Promise<void>) {
  bed = await createCountedBed({
    partitions: 4,
    env: { COUNTERSINK_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS) },
  })
  const proxy = await startPostgresProxy(Number(new URL(bed.databaseUrl).port))
  try {
    await bed.write(1000)
    const peer = await startAggregator()
    const zombie = await startAggregator({ DATABASE_URL: proxy.through(bed.databaseUrl), ...env })
    await untilShared(peer, zombie)
    await bed.tally.settled()
    await work({ peer, zombie, proxy })
  } finally {
    await bed.stop()
    await proxy.stop()
  }
}

/** Lets a commit begin and keeps its BEGIN from the server; gives the way to let it through. */
async function holdCommit(proxy: PostgresProxy): Promise<() => void> {
  const reached = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  proxy.decide(({ application, text }) => {
    if (application !== WRITER || !text.startsWith('begin')) return 'pass'
    proxy.decide(undefined)
    reached.resolve()
    return release.promise.then(() => 'pass')
  })
  await bed.write(1000)
  await reached.promise
  return release.resolve
}

async function untilFenced(zombie: ServiceHandle): Promise<void> {
  const fenced = async (): Promise<boolean> =>
    (await metricOf(zombie, 'countersink_fenced_total')) > 0
  await waitFor(fenced, { what: 'a fenced commit' })
}

async function untilTakenOver(peer: ServiceHandle): Promise<void> {
  const all = async (): Promise<boolean> => (await partitionsOf(peer)).length === 4
  await waitFor(all, { what: 'the peer to own everything' })
  await bed.write(1000)
  await bed.tally.settled()
}

test('F2, I4: stopped past its session time-out and continued, its commit is fenced', async () => {
  await withPair({}, async ({ peer, zombie, proxy }) => {
    const release = await holdCommit(proxy)
    await zombie.kill('SIGSTOP')
    await untilTakenOver(peer)
    const before = await bed.tally.actual()
    await zombie.kill('SIGCONT')
    release()
    await untilFenced(zombie)
    expect(await bed.tally.actual()).toEqual(before)
    await untilShared(peer, zombie)
    await bed.write(1000)
    await expectCountedOnce()
  })
})

test('F3, I4: as with a process that stands still, so with an event loop that is blocked', async () => {
  const port = await freePort()
  const env = { NODE_OPTIONS: `--inspect=127.0.0.1:${port}` }
  await withPair(env, async ({ peer, zombie, proxy }) => {
    const release = await holdCommit(proxy)
    const blocked = blockEventLoop(port, 3 * SESSION_TIMEOUT_MS)
    await untilTakenOver(peer)
    release()
    await blocked
    await untilFenced(zombie)
    await untilShared(peer, zombie)
    await bed.write(1000)
    await expectCountedOnce()
  })
})

test("a killed owner's partitions are counted again within 8 s", async () => {
  await withPair({}, async ({ peer, zombie: victim }) => {
    await victim.kill()
    const killedAt = performance.now()
    await bed.write(1000)
    await bed.tally.settled()
    expect(performance.now() - killedAt).toBeLessThan(COUNTED_AGAIN_MS_MAX)
    expect(await partitionsOf(peer)).toHaveLength(4)
    await expectCountedOnce()
  })
})

test('F22: while a peer comes and goes, in order and by kill -9, everything is counted once', async () => {
  const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }
  bed = await createCountedBed({ partitions: 4, env })
  try {
    await startAggregator()
    await bed.write(1000)
    const peer = await startAggregator()
    for (let round = 0; round < 6; round++) {
      const owns = async (): Promise<boolean> => {
        await bed.write(100)
        return (await partitionsOf(peer)).length > 0
      }
      await waitFor(owns, { what: 'the peer to own something' })
      if (round % 2 === 0) await peer.kill()
      else await peer.stop()
      await bed.write(500)
      if (round < 5) await peer.start()
    }
    await expectCountedOnce()
  } finally {
    await bed.stop()
  }
})

test('F2: an owner frozen in mid-statement does not keep its rows from its successor', async () => {
  await withPair({}, async ({ peer, zombie, proxy }) => {
    const frozen = Promise.withResolvers<void>()
    // On a new connection statements are sent with their text: the second one of a commit here.
    let isNew = false
    proxy.decide(({ application, text }) => {
      if (application !== WRITER) return 'pass'
      if (!isNew && text.startsWith('begin')) {
        isNew = true
        return 'cut'
      }
      if (!text.includes('insert into countersink_1.commits')) return 'pass'
      frozen.resolve()
      return 'hold'
    })
    await bed.write(1000)
    await frozen.promise
    await zombie.kill('SIGSTOP')
    proxy.decide(undefined)
    const frozenAt = performance.now()
    await untilTakenOver(peer)
    expect(performance.now() - frozenAt).toBeLessThan(2 * COUNTED_AGAIN_MS_MAX)
    await zombie.kill('SIGCONT')
    await untilShared(peer, zombie)
    await bed.write(1000)
    await expectCountedOnce()
  })
})
