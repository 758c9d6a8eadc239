import pg from 'pg'
import { metricOf } from '../bench/metrics.ts'
import { COUNTED_CONTRACT, type CountedBed, createCountedBed } from './counted-bed.ts'
import { createMoments } from './moments.ts'
import { startPostgresProxy } from './postgres-proxy.ts'
import { readRuns } from './series-runs.ts'
import { type ServiceHandle, waitFor } from './stack.ts'

/**
 * Short scenarios for one aggregator from `root` (a patched copy, or ours when undefined). Each says
 * what came of it and what should have: equal when the guarantee holds.
 */
export type Guarantee = (
  root: string | undefined,
) => Promise<{ actual: unknown; expected: unknown }>

const HOUR_MS = 3_600_000
const WRITER = 'countersink-aggregator-writer'
const env = { COUNTERSINK_SESSION_TIMEOUT_MS: '1500' }

type Start = (environment?: Record<string, string>) => Promise<ServiceHandle>

async function withBed<T>(
  root: string | undefined,
  work: (bed: CountedBed, start: Start) => Promise<T>,
): Promise<T> {
  const bed = await createCountedBed({ partitions: 2, env })
  const options = root === undefined ? {} : { root }
  try {
    return await work(bed, async (environment = {}) =>
      bed.startService('aggregator', { ...options, env: environment, until: 'alive' }),
    )
  } finally {
    await bed.stop()
  }
}

/** I4: somebody claims the partitions while a commit waits for their rows: it must not go through. */
async function claimFences(root: string | undefined) {
  return await withBed(root, async (bed, start) => {
    const aggregator = await start()
    await bed.write(200)
    await bed.tally.settled()
    const other = new pg.Client({ connectionString: bed.databaseUrl })
    await other.connect()
    try {
      await other.query('begin')
      await other.query('update countersink_1.partitions set token = gen_random_uuid()')
      await bed.write(200)
      await waitFor(() => isWriterWaiting(bed), { what: 'the commit to wait for the rows' })
      await other.query('commit')
    } finally {
      await other.end()
    }
    await bed.tally.settled()
    const fenced = (await metricOf(aggregator, 'countersink_fenced_total')) > 0
    const expected = { fenced: true, count: bed.tally.expected() }
    return { actual: { fenced, count: await bed.tally.actual() }, expected }
  })
}

async function isWriterWaiting(bed: CountedBed): Promise<boolean> {
  const rows = await bed.sql(
    `select from pg_stat_activity where datname = current_database()
     and application_name = $1 and wait_event_type = 'Lock'`,
    [WRITER],
  )
  return rows.length > 0
}

/** I4: a commit whose answer was lost is looked up, and found to be our own. */
async function lostAnswerIsLookedUp(root: string | undefined) {
  return await withBed(root, async (bed, start) => {
    const proxy = await startPostgresProxy(Number(new URL(bed.databaseUrl).port))
    let aggregator: ServiceHandle | undefined
    try {
      aggregator = await start({ DATABASE_URL: proxy.through(bed.databaseUrl) })
      await bed.write(200)
      await bed.tally.settled()
      const lost = Promise.withResolvers<void>()
      proxy.decide(({ application, text }) => {
        if (application !== WRITER || text.toLowerCase() !== 'commit') return 'pass'
        proxy.decide(undefined)
        lost.resolve()
        return 'swallow-answer'
      })
      await bed.write(200)
      await lost.promise
      await bed.write(200)
      await bed.tally.settled()
      const recognized = !(await aggregator.logs()).includes('its state is dropped')
      const expected = { recognized: true, count: bed.tally.expected() }
      return { actual: { recognized, count: await bed.tally.actual() }, expected }
    } finally {
      await aggregator?.stop()
      await proxy.stop()
    }
  })
}

/** I5: a copy is never counted: not at the end of the lateness, and not after a kill. */
async function copiesNeverCount(root: string | undefined, idOf = (n: number) => `e${n}`) {
  return await withBed(root, async (bed, start) => {
    const aggregator = await start()
    const now = Date.now()
    const event = (n: number, at: number) => ({
      id: idOf(n),
      counter: 'views',
      key: 'k',
      delta: 1,
      at,
    })
    const old = event(0, now - 20 * HOUR_MS)
    const fresh = event(1, now)
    const last = event(2, now)
    const write = async (...events: (typeof old)[]): Promise<void> => {
      bed.tally.add(await bed.writer.write(events))
      await bed.tally.settled()
    }
    await write(old)
    await write(fresh)
    await write(old, fresh)
    await write(last)
    await aggregator.kill()
    await aggregator.start()
    await write(old, fresh, last)
    return { actual: await bed.tally.actual(), expected: bed.tally.expected() }
  })
}

/** I5: the same of ids that an SDK made, which are remembered as intervals. */
async function madeCopiesNeverCount(root: string | undefined) {
  return await copiesNeverCount(root, (n) => `0mchx2z1aAZaz09_-AZaz09_-.0.${n}`)
}

const COLD_IDS = 500

/** I5: the same of ids that are in Postgres only, and of conflicts with them. */
async function coldCopiesNeverCount(root: string | undefined) {
  return await withBed(root, async (bed, start) => {
    const bytesMax = COLD_IDS * 20 * 1.2
    const aggregator = await start({ COUNTERSINK_IDS_BYTES_MAX: String(bytesMax) })
    const now = Date.now()
    const old = Array.from({ length: COLD_IDS }, (_, n) => ({
      ...{ id: `e${n}`, counter: 'views', key: 'k', delta: 1, at: now - 20 * HOUR_MS },
    }))
    const write = async (events: typeof old): Promise<void> => {
      bed.tally.add(await bed.writer.write(events))
      await bed.tally.settled()
    }
    await write(old)
    await write([{ ...old[0]!, id: 'fresh', at: now }])
    await waitFor(
      async () => (await metricOf(aggregator, 'countersink_cold_ids_count')) === COLD_IDS,
      { what: 'the ids to leave the memory' },
    )
    const later = Array.from({ length: 5 }, (_, n) => ({ ...old[0]!, id: `later${n}` }))
    await write(later)
    const others = old.map((event) => ({ ...event, delta: 2 }))
    await write([...old.slice(0, 300), ...others.slice(200)])
    await aggregator.kill()
    await aggregator.start()
    await write([...others.slice(0, 300), ...old.slice(200), ...later])
    return { actual: await bed.tally.actual(), expected: bed.tally.expected() }
  })
}

const NAMED_SERIES = 60

/** I1, I3: names of series and their slots stay, however runs merge, and after a kill. */
async function namesStay(root: string | undefined) {
  return await withBed(root, async (bed, start) => {
    const aggregator = await start()
    const now = Date.now()
    const client = new pg.Client({ connectionString: bed.databaseUrl })
    await client.connect()
    try {
      // One new series a commit: eight become a run, and the next eight another.
      for (let n = 0; n < NAMED_SERIES; n++) {
        bed.tally.add(await bed.writer.write([named(`a${n}`, n, now)]))
        await bed.tally.settled()
      }
      await aggregator.kill()
      const { flaws, sizes } = await readRuns(client, 'countersink_1', ['views'])
      const merged = [...sizes.values()].filter((runs) => runs.some((size) => size === 8)).length
      const found = { flaws, merged, before: await bed.tally.actual() }
      const expected = { flaws: [], merged: 2, before: bed.tally.expected() }
      if (flaws.length > 0) return { actual: found, expected }
      await aggregator.start()
      const again = Array.from({ length: NAMED_SERIES }, (_, n) => named(`b${n}`, n, now))
      bed.tally.add(await bed.writer.write(again))
      await bed.tally.settled()
      return {
        actual: { ...found, after: await bed.tally.actual() },
        expected: { ...expected, after: bed.tally.expected() },
      }
    } finally {
      await client.end()
    }
  })
}

function named(id: string, n: number, at: number) {
  return { id, counter: 'views', key: `k${n}`, delta: 1, at }
}

const LOOKS_PER_LIFE = 5
const KILLS_WITH_DIRT = 3
const LIVES_MAX = 10
/** So few a time that a commit is under way while the next ones are folded. */
const EVENTS_PER_WRITE = 40
const WRITES_PER_BURST = 10

/**
 * I13, I14: page + dirt is the fold of the log at every moment, however dirt and pages are spread,
 * and after kills that left dirt behind. Somebody writes in the midst of it.
 */
async function pagesAndDirtAreExact(root: string | undefined) {
  return await withBed(root, async (bed, start) => {
    const moments = await createMoments(bed.databaseUrl, COUNTED_CONTRACT)
    /** Writes for a while; `work` runs as soon as some of it is counted. */
    const whileWriting = async <T>(work: () => Promise<T>): Promise<T> => {
      const before = await bed.tally.position()
      const burst = (async () => {
        for (let i = 0; i < WRITES_PER_BURST; i++) moments.add(await bed.write(EVENTS_PER_WRITE))
      })()
      await waitFor(async () => (await bed.tally.position()) > before, { what: 'progress' })
      const result = await work()
      await burst
      return result
    }
    const allPagesWritten = async (): Promise<void> => {
      await bed.tally.settled()
      await waitFor(async () => !(await moments.look()).dirty, { what: 'all pages to be written' })
    }
    const aggregator = await start()
    let killsWithDirt = 0
    try {
      for (let life = 0; life < LIVES_MAX && killsWithDirt < KILLS_WITH_DIRT; life++) {
        for (let look = 0; look < LOOKS_PER_LIFE; look++) {
          const { actual, expected } = await whileWriting(moments.look)
          if (JSON.stringify(actual) !== JSON.stringify(expected)) return { actual, expected }
        }
        await whileWriting(async () => aggregator.kill())
        if ((await moments.look()).dirty) killsWithDirt++
        await aggregator.start()
      }
      // All are written, taken over without any dirt, and written again: none can hide in the log.
      await allPagesWritten()
      await aggregator.kill()
      await aggregator.start()
      await whileWriting(moments.look)
      await allPagesWritten()
      const { actual, expected } = await moments.look()
      const beyondClocks = await pagesBeyondClocks(bed)
      return {
        actual: { killsWithDirt, beyondClocks, ...actual },
        expected: { killsWithDirt: KILLS_WITH_DIRT, beyondClocks: 0, ...expected },
      }
    } finally {
      await moments.stop()
    }
  })
}

/** An owner takes pages of such windows for new ones: see StoredPages. */
async function pagesBeyondClocks(bed: CountedBed): Promise<number> {
  const [row] = await bed.sql<{ count: number }>(
    `select count(*)::int as count from countersink_1.window_pages_512 w
     join countersink_1.partition_counters c using (partition, counter) where w.start > c.clock`,
  )
  return row?.count ?? -1
}

export const GUARANTEES = {
  'I4: a claim fences the commit of the owner before': claimFences,
  'I4: a commit whose answer was lost is looked up': lostAnswerIsLookedUp,
  'I5: copies never count, however late and after a kill': (root) => copiesNeverCount(root),
  'I5: copies of SDK-made ids never count, however late and after a kill': madeCopiesNeverCount,
  'I5: copies of ids that left the memory never count': coldCopiesNeverCount,
  'I1, I3: names of series stay, however runs merge and after a kill': namesStay,
  'I13, I14: page + dirt is exact at every moment and after kills': pagesAndDirtAreExact,
} satisfies Record<string, Guarantee>

export type GuaranteeName = keyof typeof GUARANTEES
