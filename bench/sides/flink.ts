import { join } from 'node:path'
import { SumCheck } from '../load-oracle.ts'
import { COUNTER } from '../loads.ts'
import { withClient } from '../servers.ts'
import { diskUsage } from './disk-usage.ts'
import { buildJava, type JavaPeer, javaProgram } from './java-program.ts'
import { runReported } from './reported-run.ts'
import type { Side, SideContext, SideRun, StoredBytes } from './side.ts'
import { checkTotals, checkWindows, tableBytes } from './table-sums.ts'

type Mode = 'one' | 'two' | 'sql'

const OPEN = ['java.base/java.util=ALL-UNNAMED', 'java.base/java.lang=ALL-UNNAMED']
const PEER: JavaPeer = {
  name: 'flink-peer',
  goals: ['package'],
  options: [
    '-Xms3g',
    '-Xmx3g',
    '-XX:+UseSerialGC',
    ...OPEN.map((packages) => `--add-opens=${packages}`),
  ],
}

/** Flink with exactly-once checkpoints and idempotent upserts into Postgres. */
function flink(mode: Mode, title: string, eventsPerSecondGuess: number): Side {
  return {
    name: `flink-${mode}`,
    title: `Flink 2.2.1, ${title}`,
    encoding: 'json',
    eventsPerSecondGuess,
    prepare: () => buildJava(PEER),
    run: (context) => run(mode, context),
  }
}

export const flinkSql = flink('sql', 'SQL', 90_000)
export const flinkOne = flink('one', 'operators built by hand, one shuffle', 150_000)
export const flinkTwo = flink('two', 'operators built by hand, two shuffles', 130_000)

async function run(mode: Mode, { servers, run: name, load, warm }: SideContext): Promise<SideRun> {
  const databaseUrl = await servers.makeDatabase(name, { migrated: false })
  const dir = join(servers.dir, name)
  const args = {
    bootstrap: servers.brokers,
    topic: load.topic,
    events: load.events,
    warm: warm.topic,
    warmEvents: warm.events,
    window: load.oracle.windowMs,
    pg: jdbcUrl(databaseUrl),
    mode,
    dir,
  }
  const program = javaProgram(
    PEER,
    Object.entries(args).map(([key, value]) => `${key}=${value}`),
  )
  const stored: StoredBytes = {}
  const reported = await runReported(servers, program, load.events, async () => {
    stored['left of its last checkpoint'] = await diskUsage(join(dir, 'checkpoints'))
  })
  await withClient(databaseUrl, async (client) => {
    stored['tables'] = await tableBytes(client, ['totals', 'windows'])
    const check = new SumCheck(load.oracle, 'Flink')
    const key = `substr(counter, ${COUNTER.length + 2})`
    await checkTotals(client, check, `select ${key}, total from totals`)
    const start = `extract(epoch from start_at at time zone 'UTC') * 1000`
    await checkWindows(client, check, `select ${key}, ${start}, sum from windows`)
    check.finish()
  })
  await servers.dropDatabase(name)
  return { ...reported, stored }
}

function jdbcUrl(databaseUrl: string): string {
  const { host, pathname, username, password } = new URL(databaseUrl)
  return `jdbc:postgresql://${host}${pathname}?user=${username}&password=${password}`
}
