import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogWriter, type LogWriter } from './log-writer.ts'
import type { OracleEvent } from './oracle/oracle.ts'
import { PositionOracle, type Offsets } from './position-oracle.ts'
import { sampleTotal, sampleTotals, sampleViews, sampleWindows } from './reader-samples.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'

const COUNTER = 'views'
const KEYS = 300
const HOUR_MS = 3_600_000
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m, 1h] }'
/** As short as the broker allows in this stack, so that a killed owner is soon replaced. */
const ENV = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }

const SAMPLES_DIRTY_MIN = 200
const SAMPLES_AT_TAKE_OVER_MIN = 20
const AT_TAKE_OVER_MS = 1000
const KILLS_MIN = 6
/** Reading all keys takes much longer than reading a few, so that is done now and then. */
const ALL_KEYS_EVERY = 10
const RUN_MS_MAX = 110_000
/** So much may wait to be counted before the writer waits, too. */
const AHEAD_EVENTS_MAX = 600

const hourStart = Math.floor((Date.now() - 2 * HOUR_MS) / HOUR_MS) * HOUR_MS
const range = { from: hourStart, to: hourStart + HOUR_MS }

let bed: TestBed
let writer: LogWriter
let client: pg.Client
let oracle: PositionOracle
let api: ServiceHandle
let aggregators: ServiceHandle[]
let written = 0
let kills = 0
let done = false

beforeAll(async () => {
  bed = await createTestBed({ partitions: 4, contractsYaml: CONTRACTS, env: ENV })
  writer = await createLogWriter(bed.brokers, bed.topic)
  client = new pg.Client({ connectionString: bed.databaseUrl })
  await client.connect()
  // Compiling the views' plans takes longer than running them does here.
  await client.query('set jit = off')
  const windowSizesMs = [60_000, HOUR_MS]
  const contract = { latenessMs: 24 * HOUR_MS, windowSizesMs, breakdowns: [], skewMs: 300_000 }
  oracle = new PositionOracle(contract)
  await write(500)
  aggregators = await Promise.all([
    bed.startService('aggregator', { until: 'alive' }),
    bed.startService('aggregator', { until: 'alive' }),
  ])
  api = await bed.startService('query-api')
})

afterAll(async () => {
  await writer?.stop()
  await client?.end()
  await bed?.stop()
})

/** One event in five repeats the one before it, which may be in another batch. */
function eventNumber(n: number): OracleEvent {
  const origin = n % 5 === 4 ? n - 1 : n
  const key = `k${(origin * 7919) % KEYS}`
  const at = hourStart + ((origin * 31_337) % HOUR_MS)
  return { id: `e${origin}`, counter: COUNTER, key, delta: (origin % 9) - 3, at }
}

async function write(count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => eventNumber(written + i))
  written += count
  oracle.add(await writer.write(events))
}

async function counted(): Promise<number> {
  const [row] = await bed.sql<{ sum: string }>('select sum(next) from countersink_1.partitions')
  return Number(row?.sum)
}

async function writeOn(): Promise<void> {
  while (!done) {
    await write(40)
    const isNear = async (): Promise<boolean> =>
      done || oracle.written - (await counted()) < AHEAD_EVENTS_MAX
    await waitFor(isNear, { what: 'counting to come near the end of the log' })
  }
}

/** Kills one owner after the other; each kill and each return moves partitions. */
async function killOn(): Promise<void> {
  for (let i = 0; !done; i++) {
    const victim = aggregators[i % aggregators.length]!
    const before = await counted()
    await waitFor(async () => done || (await counted()) > before, { what: 'progress' })
    await victim.kill()
    kills++
    const after = await counted()
    await waitFor(async () => done || (await counted()) > after, { what: 'a peer to go on' })
    await victim.start()
  }
}

/** The oracle may hear of an append a moment later than a quick aggregator has counted it. */
async function untilTold(position: Offsets): Promise<void> {
  await waitFor(() => oracle.reaches(position), { what: 'the oracle to hear of what is counted' })
}

let owners: ReadonlyMap<number, string> = new Map()
let takenOverAt = -Infinity
let sampledAt = performance.now()

/** True when a partition has changed hands within the last second. */
function isAtTakeOver(tokens: ReadonlyMap<number, string>): boolean {
  const changed = [...tokens].some(([partition, token]) => {
    return owners.has(partition) && owners.get(partition) !== token
  })
  // It happened after the sample before this one: that is what can be said for sure.
  if (changed) takenOverAt = sampledAt
  owners = tokens
  sampledAt = performance.now()
  return sampledAt - takenOverAt < AT_TAKE_OVER_MS
}

async function sample(n: number): Promise<{ isDirty: boolean; atTakeOver: boolean }> {
  const key = `k${(n * 101) % KEYS}`
  const [step, sizeMs] = n % 2 === 0 ? (['1m', 60_000] as const) : (['1h', HOUR_MS] as const)
  const keys = Array.from({ length: 20 }, (_, i) => `k${(n * 101 + i * 13) % KEYS}`)
  const asked = n % ALL_KEYS_EVERY === 0 ? null : keys
  const views = await sampleViews(client, COUNTER, asked, { key, size: step })
  const atTakeOver = isAtTakeOver(views.tokens)
  const [total, totals, windows] = await Promise.all([
    sampleTotal(api.url, COUNTER, key),
    sampleTotals(api.url, COUNTER, keys),
    sampleWindows(api.url, COUNTER, key, { ...range, step }),
  ])
  for (const { position } of [views, total, totals, windows]) await untilTold(position)
  expect(views.totals).toEqual(oracle.totalsAt(views.position, asked ?? oracle.keys()))
  expect(views.windows).toEqual(oracle.windowsAt(key, sizeMs, views.position))
  expect(total.value).toEqual({ [key]: oracle.totalAt(key, total.position) })
  expect(totals.value).toEqual(
    Object.fromEntries(keys.map((one) => [one, oracle.totalAt(one, totals.position)])),
  )
  const counts = Object.entries(oracle.windowsAt(key, sizeMs, windows.position))
  expect(windows.value).toEqual(Object.fromEntries(counts.filter(([, sum]) => sum !== '0')))
  return { isDirty: views.isDirty, atTakeOver }
}

test('I8, I13, I14: page + dirt through the API, through the views and an oracle at the same position are equal, through kills and take-overs', async () => {
  const background = Promise.all([writeOn(), killOn()])
  background.catch(() => {})
  const deadline = performance.now() + RUN_MS_MAX
  let dirty = 0
  let atTakeOver = 0
  const isEnough = (): boolean =>
    dirty >= SAMPLES_DIRTY_MIN && atTakeOver >= SAMPLES_AT_TAKE_OVER_MIN && kills >= KILLS_MIN
  for (let n = 0; !isEnough(); n++) {
    const one = await sample(n)
    if (one.isDirty) dirty++
    if (one.isDirty && one.atTakeOver) atTakeOver++
    if (performance.now() > deadline) break
  }
  done = true
  await background
  expect(kills).toBeGreaterThanOrEqual(KILLS_MIN)
  expect(dirty).toBeGreaterThanOrEqual(SAMPLES_DIRTY_MIN)
  expect(atTakeOver).toBeGreaterThanOrEqual(SAMPLES_AT_TAKE_OVER_MIN)
})
