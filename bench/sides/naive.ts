import { join } from 'node:path'
import { SumCheck } from '../load-oracle.ts'
import { COUNTER } from '../loads.ts'
import { withClient } from '../servers.ts'
import { runReported } from './reported-run.ts'
import type { Side, SideContext, SideRun } from './side.ts'
import { checkTotals, checkWindows, tableBytes } from './table-sums.ts'

const BENCH = join(import.meta.dirname, '..')

/** The consumer that people write by hand: ids into a table, upserts, a transaction a batch. */
export const naive: Side = {
  name: 'naive',
  title: 'consumer by hand: insert ids on conflict do nothing, upsert',
  encoding: 'json',
  eventsPerSecondGuess: 65_000,
  run,
}

async function run({ servers, run: name, load }: SideContext): Promise<SideRun> {
  const databaseUrl = await servers.makeDatabase(name, { migrated: false })
  const { windowMs } = load.oracle
  const args = [servers.brokers, databaseUrl, load.topic, load.events, windowMs].map(String)
  const script = join(BENCH, 'naive-consumer.ts')
  const program = { command: process.execPath, args: [script, ...args], cwd: BENCH }
  const reported = await runReported(servers, program, load.events)
  const stored = { ids: 0, tables: 0 }
  await withClient(databaseUrl, async (client) => {
    stored.ids = await tableBytes(client, ['n_ids'])
    stored.tables = await tableBytes(client, ['n_tot', 'n_win'])
    const check = new SumCheck(load.oracle, 'the consumer by hand')
    const key = `substr(series, ${COUNTER.length + 2})`
    await checkTotals(client, check, `select ${key}, total from n_tot`)
    const start = 'extract(epoch from w) * 1000'
    await checkWindows(client, check, `select ${key}, ${start}, delta from n_win`)
    check.finish()
  })
  await servers.dropDatabase(name)
  return { ...reported, stored }
}
