import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Service } from './services.ts'
import type { TopicLoad } from './topic-load.ts'

const POLL_MS = 10
const COUNT_MS_MAX = 1_800_000

/** Epoch ms of the first partition that was loaded: its first fetch comes right behind. */
export async function firstLoadMs(aggregator: Service): Promise<number> {
  for (const line of (await aggregator.log()).split('\n')) {
    if (!line.includes('"partition loaded"')) continue
    const time: unknown = Reflect.get(Object(JSON.parse(line)), 'time')
    return Date.parse(String(time))
  }
  throw new Error('the aggregator has loaded no partition')
}

/**
 * Waits until every record is counted and in the pages: `next` of each partition is its end, and
 * so is `floor`, before which nothing is dirty. Resolves with the epoch ms when that was seen.
 */
export async function untilCounted(databaseUrl: string, load: TopicLoad): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
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
  } finally {
    await client.end()
  }
}

/** Reads all totals and one-minute windows through the SQL views. Throws when one is wrong. */
export async function checkSums(databaseUrl: string, load: TopicLoad): Promise<void> {
  const { oracle } = load
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const totals = await client.query<{ key: string; total: string }>(
      'select key, total from countersink.totals',
    )
    for (const { key, total } of totals.rows) {
      const right = oracle.total(keyNumberOf(key))
      if (Number(total) !== right) throw new Error(`${key} has ${total}, not ${right}`)
    }
    const windows = await client.query<{ key: string; start: string; delta: string }>(
      `select key, extract(epoch from start) * 1000 as start, delta
       from countersink.windows where size = '1m'`,
    )
    for (const { key, start, delta } of windows.rows) {
      const right = oracle.window(keyNumberOf(key), Number(start))
      if (Number(delta) !== right) throw new Error(`${key} at ${start} has ${delta}, not ${right}`)
    }
    const { rows } = await client.query<{ applied: string; duplicate: string; stale: string }>(
      `select sum(applied) as applied, sum(duplicate) as duplicate,
         (select count(*) from countersink_1.total_pages t
          join countersink_1.partitions p using (partition)
          where greatest(t.next, p.floor) <> p.next) as stale
       from countersink_1.partitions`,
    )
    const found = { keys: totals.rows.length, windows: windows.rows.length, ...rows[0] }
    const expected = {
      ...oracle.counts(),
      applied: String(oracle.applied),
      duplicate: String(oracle.copies),
      stale: '0',
    }
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      throw new Error(`found ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
    }
  } finally {
    await client.end()
  }
}

function keyNumberOf(key: string): number {
  return Number(key.slice(2))
}
