import { execFile } from 'node:child_process'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type CountedBed, createCountedBed } from './counted-bed.ts'
import { ownServers, type OwnServers, type ServiceHandle, waitFor } from './stack.ts'

/** After so long whoever supervises it would kill it. */
const STOP_MS_MAX = 12_000

let servers: OwnServers
let bed: CountedBed
let aggregator: ServiceHandle

beforeAll(async () => {
  servers = await ownServers()
})

afterAll(async () => {
  await servers.stop()
})

beforeEach(async () => {
  bed = await createCountedBed({ partitions: 4, servers })
  aggregator = await bed.startService('aggregator', { until: 'alive' })
})

afterEach(async () => {
  await bed.stop()
})

async function expectCountedOnce(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
  expect(await bed.sql('select from countersink_1.partitions where halted is not null')).toEqual([])
}

test('F8, I11: Postgres killed by kill -9 and started again, in mid-work: counted once', async () => {
  const { pid } = aggregator
  const before = pid()
  for (let round = 0; round < 4; round++) {
    const position = await bed.tally.position()
    await bed.write(3000)
    await waitFor(async () => (await bed.tally.position()) > position, { what: 'progress' })
    await servers.postgres.kill()
    await bed.write(1000)
    await servers.postgres.start()
  }
  await expectCountedOnce()
  expect(pid()).toBe(before)
})

test('F30: SIGTERM while Postgres stands still ends in bounded time, and nothing is lost', async () => {
  await bed.write(3000)
  await bed.tally.settled()
  servers.postgres.pause()
  try {
    await bed.write(1000)
    const ended = aggregator.ended()
    await aggregator.kill('SIGTERM')
    const askedAt = performance.now()
    expect(await ended).toBe('code 0')
    expect(performance.now() - askedAt).toBeLessThan(STOP_MS_MAX)
  } finally {
    servers.postgres.resume()
  }
  await aggregator.start()
  await expectCountedOnce()
})

/** Puts the data directory as it was then in the place of the present one; Postgres is stopped. */
async function exchangeData(stored: string): Promise<void> {
  const data = join(servers.dir, 'postgres')
  await rm(data, { recursive: true, force: true })
  await rename(stored, data)
}

/** Copies the data directory, as a backup would. */
async function backUp(): Promise<string> {
  const stored = join(servers.dir, 'postgres-backup')
  await servers.postgres.stop()
  // With its owner, who is not us when we are root.
  await promisify(execFile)('cp', ['-a', join(servers.dir, 'postgres'), stored])
  await servers.postgres.start()
  return stored
}

test('F12, I4: Postgres restored from an older copy while the aggregator lives on: counted once', async () => {
  await bed.write(3000)
  await bed.tally.settled()
  const stored = await backUp()
  // What the copy does not have: more commits, new series, and a counter that is new.
  await bed.write(3000)
  await bed.write(500, 'likes')
  await bed.tally.settled()
  await servers.postgres.stop()
  await bed.write(1000)
  await exchangeData(stored)
  await servers.postgres.start()
  await expectCountedOnce()
})

test('F12: an aggregator with nothing to do notices that the database went back', async () => {
  await bed.write(3000)
  await bed.tally.settled()
  const stored = await backUp()
  await bed.write(3000)
  await bed.write(500, 'likes')
  await bed.tally.settled()
  // All pages are written: nothing is left that would be committed by itself.
  await waitFor(isClean, { what: 'the pages to be written' })
  await servers.postgres.stop()
  await exchangeData(stored)
  await servers.postgres.start()
  await expectCountedOnce()
})

async function isClean(): Promise<boolean> {
  const rows = await bed.sql('select from countersink_1.partitions where floor < next')
  return rows.length === 0
}
