import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort } from '@countersink/local/ports'
import { checkSums, firstLoadMs, untilCounted, untilLoaded } from './counted.ts'
import { eventCount, flatShape, loadEvents, startOf } from './loads.ts'
import { metricOf } from './metrics.ts'
import { median, writeResults } from './results.ts'
import { type BenchServers, startServers, withClient } from './servers.ts'
import { startAggregator } from './services.ts'
import { markdown, number, whole } from './throughput-table.ts'
import { appendToTopic, emptyTopic, type TopicOptions } from './topic-load.ts'

/** Longer than the load is, so that every id stays remembered. */
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m] }\n'
const TOPIC = 'bench.restart'
const PARTITIONS = 8
const KEYS = 100_000
const SEED = 13
/** Of all events the share that are no copies. */
const NEW_SHARE = 0.9
/** Events that are on their way in when the aggregator is killed. */
const UNDER_WAY = 500_000
const POLL_MS = 2
const COUNT_MS_MAX = 60_000

const { values } = parseArgs({
  options: {
    /** Ids that are remembered at the first crash; each has its id of its own, as JSON. */
    ids: { type: 'string', default: '10m' },
    runs: { type: 'string', default: '3' },
  },
})

type Restart = {
  /** Remembered when all partitions are loaded. */
  ids: number
  /** From the start of the process, like those below. */
  firstLoadedSeconds: number
  allLoadedSeconds: number
  /** What was not counted at the crash is counted. */
  countedSeconds: number
}

/** How long an aggregator takes to come back that was ended by SIGKILL while it counted. */
async function main(): Promise<void> {
  const runs = Number(values.runs)
  const first = Math.ceil(eventCount(values.ids) / NEW_SHARE)
  const events = first + runs * UNDER_WAY
  const servers = await startServers()
  const options = {
    brokers: servers.brokers,
    topic: TOPIC,
    encoding: 'json',
    partitions: PARTITIONS,
    load: { shape: flatShape(KEYS), events, seed: SEED, startMs: startOf(events, Date.now()) },
  } as const
  try {
    await servers.makeTopic(TOPIC, PARTITIONS)
    const restarts = await crashAgainAndAgain(servers, options, first, runs)
    console.log(tableOf(restarts))
    const medianSeconds = median(restarts.map((restart) => restart.allLoadedSeconds))
    writeResults('restart', { partitions: PARTITIONS, keys: KEYS, restarts, medianSeconds })
  } finally {
    await servers.stop()
  }
}

async function crashAgainAndAgain(
  servers: BenchServers,
  options: TopicOptions,
  first: number,
  runs: number,
): Promise<Restart[]> {
  const { databaseUrl } = servers
  const service = { ...servers, topic: TOPIC, contractsYaml: CONTRACTS, port: await freePort() }
  const load = emptyTopic(options)
  const events = loadEvents(options.load)
  const restarts: Restart[] = []
  let aggregator = await startAggregator(service)
  try {
    await appendToTopic(options, load, events, first)
    await untilCounted(databaseUrl, load)
    for (let run = 0; run < runs; run++) {
      const counted = load.ends.reduce((sum, end) => sum + end, 0)
      const appended = appendToTopic(options, load, events, UNDER_WAY)
      await untilMore(databaseUrl, counted)
      await aggregator.kill()
      await appended
      const startMs = Date.now()
      aggregator = await startAggregator(service)
      const seconds = (ms: number): number => (ms - startMs) / 1000
      const allLoadedSeconds = seconds(await untilLoaded(aggregator, PARTITIONS))
      const restart = {
        ids: await metricOf(aggregator, 'countersink_ids_count'),
        firstLoadedSeconds: seconds(await firstLoadMs(aggregator)),
        allLoadedSeconds,
        countedSeconds: seconds(await untilCounted(databaseUrl, load)),
      }
      console.error(JSON.stringify(restart))
      restarts.push(restart)
    }
    await checkSums(databaseUrl, load)
    return restarts
  } finally {
    await aggregator.stop()
  }
}

/** Waits until more than `counted` records are: it is in the middle of what was appended then. */
async function untilMore(databaseUrl: string, counted: number): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    for (const deadline = Date.now() + COUNT_MS_MAX; Date.now() < deadline;) {
      const { rows } = await client.query<{ counted: string }>(
        'select sum(next) as counted from countersink_1.partitions',
      )
      if (Number(rows[0]?.counted) > counted) return
      await sleep(POLL_MS)
    }
    throw new Error(`nothing was counted for ${COUNT_MS_MAX / 1000} s`)
  })
}

function tableOf(restarts: readonly Restart[]): string {
  const head = ['ids', 'first partition loaded, s', 'all loaded, s', 'all counted, s']
  const rows = restarts.map((restart) => [
    whole(restart.ids),
    number(restart.firstLoadedSeconds, 2),
    number(restart.allLoadedSeconds, 2),
    number(restart.countedSeconds, 2),
  ])
  return markdown(head, rows)
}

await main()
