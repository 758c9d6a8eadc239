import { setTimeout as sleep } from 'node:timers/promises'
// oxlint-disable-next-line no-restricted-imports -- What a user without our consumer would import.
import { Kafka, logLevel, type EachBatchPayload } from 'kafkajs'
import pg from 'pg'

/*
 * What a user would write: eachBatch, ids inserted with `on conflict do nothing`, what was new
 * upserted, one transaction a batch. Arguments: brokers, database URL, topic, events, window in ms.
 * Prints a line at its first batch and one at the end, and stays until its standard input ends.
 */

type Row = { id: string; delta: number; at: number; series: string }

const [brokers = '', databaseUrl = '', topic = '', eventsText, windowMs] = process.argv.slice(2)
const events = Number(eventsText)
const POLL_MS = 2
/** In its favour: one parses while the other waits for Postgres. Their series are never the same. */
const PARTITIONS_AT_ONCE = 2
const MEGABYTE = 1024 * 1024

const TABLES = `
  create table n_ids (id uuid primary key, at timestamptz);
  create table n_tot (series text primary key, total bigint not null) with (fillfactor = 70);
  create table n_win (series text, w timestamptz, delta bigint not null, primary key (series, w))
    with (fillfactor = 70)`

const COUNT = `
  with e as (
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[])
      e (id, series, delta, at)
  ), i as (
    insert into n_ids select id, at from e on conflict do nothing returning id
  ), f as (
    select e.* from e join i using (id)
  ), w as (
    insert into n_win
    select series, date_bin($5::interval, at, 'epoch'), sum(delta) from f group by 1, 2
    on conflict (series, w) do update set delta = n_win.delta + excluded.delta
  )
  insert into n_tot select series, sum(delta) from f group by 1
  on conflict (series) do update set total = n_tot.total + excluded.total`

async function main(): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: PARTITIONS_AT_ONCE })
  await pool.query(TABLES)
  const kafka = new Kafka({
    clientId: 'by-hand',
    brokers: brokers.split(','),
    logLevel: logLevel.NOTHING,
  })
  const consumer = kafka.consumer({
    groupId: `by-hand-${Date.now()}`,
    maxBytesPerPartition: MEGABYTE,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let [counted, startMs] = [0, 0]
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
    eachBatch: async ({ batch }) => {
      if (startMs === 0) {
        startMs = performance.now()
        console.log(JSON.stringify({ at: 'first' }))
      }
      await count(pool, batch.messages)
      counted += batch.messages.length
    },
  })
  while (counted < events) await sleep(POLL_MS)
  const seconds = (performance.now() - startMs) / 1000
  console.log(JSON.stringify({ at: 'end', events: counted, seconds }))
  process.stdin.resume().once('end', () => process.exit(0))
}

async function count(
  pool: pg.Pool,
  messages: EachBatchPayload['batch']['messages'],
): Promise<void> {
  // Copies in one batch: the statement tells only those apart that were there before it.
  const byId = new Map<string, Row>()
  for (const { key, value } of messages) {
    const event = parseEvent(String(value))
    byId.set(event.id, { ...event, series: String(key) })
  }
  const rows = [...byId.values()]
  const client = await pool.connect()
  await client.query('begin')
  await client.query({
    name: 'count',
    text: COUNT,
    values: [
      rows.map((row) => row.id),
      rows.map((row) => row.series),
      rows.map((row) => row.delta),
      rows.map((row) => new Date(row.at).toISOString()),
      `${windowMs} ms`,
    ],
  })
  await client.query('commit')
  client.release()
}

function parseEvent(text: string): Omit<Row, 'series'> {
  return JSON.parse(text)
}

await main()
