import { setTimeout as sleep } from 'node:timers/promises'
import { formatDuration } from '@countersink/shared/duration'
import type pg from 'pg'
import { SumCheck } from './load-oracle.ts'
import { withClient } from './servers.ts'
import type { Service } from './services.ts'
import { checkTotals, checkWindows } from './sides/table-sums.ts'
import type { TopicLoad } from './topic-load.ts'

const POLL_MS = 10
const COUNT_MS_MAX = 1_800_000
const LOAD_MS_MAX = 120_000

/** Epoch ms of the first partition that was loaded: its first fetch comes right behind. */
export async function firstLoadMs(aggregator: Service): Promise<number> {
  const [first] = await loadTimes(aggregator)
  if (first === undefined) throw new Error('the aggregator has loaded no partition')
  return first
}

/** Waits until so many partitions are loaded. Resolves with the epoch ms when the last was. */
export async function untilLoaded(aggregator: Service, partitions: number): Promise<number> {
  for (const deadline = Date.now() + LOAD_MS_MAX; Date.now() < deadline;) {
    const last = (await loadTimes(aggregator))[partitions - 1]
    if (last !== undefined) return last
    await sleep(POLL_MS)
  }
  throw new Error(`${partitions} partitions were not loaded after ${LOAD_MS_MAX / 1000} s`)
}

/** Epoch ms of each partition that was loaded, as the aggregator has logged them. */
async function loadTimes(aggregator: Service): Promise<number[]> {
  // The last piece is empty, or a line that is being written.
  const lines = (await aggregator.log()).split('\n').slice(0, -1)
  return lines
    .filter((text) => text.includes('"partition loaded"'))
    .map((line) => Date.parse(String(Reflect.get(Object(JSON.parse(line)), 'time'))))
}

/**
 * Waits until every record is counted and in the pages: `next` of each partition is its end, and
 * so is `floor`, before which nothing is dirty. Resolves with the epoch ms when that was seen.
 */
export async function untilCounted(databaseUrl: string, load: TopicLoad): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    const deadline = Date.now() + COUNT_MS_MAX
    const wanted = load.ends.reduce((sum, end) => sum + end, 0)
    while (Date.now() < deadline) {
      const { rows } = await client.query<{ counted: string; paged: string }>(
        `select coalesce(sum(next), 0) as counted, coalesce(sum(floor), 0) as paged
         from countersink_1.partitions`,
      )
      if (Number(rows[0]?.counted) === wanted && Number(rows[0]?.paged) === wanted) {
        return Date.now()
      }
      await sleep(POLL_MS)
    }
    throw new Error(`not counted after ${COUNT_MS_MAX / 1000} s`)
  })
}

/** Reads all totals and windows through the SQL views. Throws when one is wrong. */
export async function checkSums(databaseUrl: string, load: TopicLoad): Promise<void> {
  const { oracle } = load
  await withClient(databaseUrl, async (client) => {
    // The views are for all, and nobody has analyzed these tables: the planner knows no sizes yet.
    await client.query('analyze')
    const check = new SumCheck(oracle, 'Countersink')
    await checkTotals(client, check, 'select key, total from countersink.totals')
    if (oracle.knowsWindows) {
      const size = formatDuration(oracle.windowMs)
      await checkWindows(
        client,
        check,
        `select key, extract(epoch from start) * 1000, delta
         from countersink.windows where size = '${size}'`,
      )
    }
    check.finish()
    await checkLedger(client, load)
  })
}

async function checkLedger(client: pg.Client, load: TopicLoad): Promise<void> {
  const { rows } = await client.query<{ applied: string; duplicate: string; stale: string }>(
    `select sum(applied) as applied, sum(duplicate) as duplicate,
       (select count(*) from countersink_1.total_pages_512 t
        join countersink_1.partitions p using (partition)
        where greatest(t.next, p.floor) <> p.next) as stale
     from countersink_1.partitions`,
  )
  const expected = {
    applied: String(load.oracle.applied),
    duplicate: String(load.copies),
    stale: '0',
  }
  if (JSON.stringify(rows[0]) !== JSON.stringify(expected)) {
    throw new Error(`found ${JSON.stringify(rows[0])}, not ${JSON.stringify(expected)}`)
  }
}
