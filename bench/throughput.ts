import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { MINUTE_MS } from './loads.ts'
import { checkSums, firstLoadMs, untilCounted } from './counted.ts'
import { buildPeer, runPeer, type SideResult } from './peer.ts'
import { writeResults } from './results.ts'
import { type BenchServers, startServers } from './servers.ts'
import { startAggregator } from './services.ts'
import { fillTopic, type TopicLoad } from './topic-load.ts'

/** What the peer is asked to do, too: one-minute windows, and ids remembered through all of it. */
const CONTRACTS = 'defaults: { lateness: 1h, windows: [1m] }\n'
const TOPIC = 'bench.events'
const PARTITIONS = 8
const SEED = 20_250_101
/** For what a broker and a database still do after one side has ended. */
const QUIET_MS = 5000

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '4000000' },
    runs: { type: 'string', default: '1' },
    'no-peer': { type: 'boolean', default: false },
  },
})

/** Events per second from a topic that is there, ours beside Kafka Streams, in one run. */
async function main(): Promise<void> {
  const events = Number(values.events)
  const withPeer = !values['no-peer']
  if (withPeer) await buildPeer()
  const runs: { ours: SideResult; peer: SideResult | undefined }[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    const servers = await startServers()
    try {
      const load = await fill(servers, events)
      const peer = withPeer ? await runPeer(servers.brokers, load, servers.dir) : undefined
      if (peer !== undefined) report('Kafka Streams, exactly_once_v2, dedup', peer)
      await sleep(QUIET_MS)
      const ours = await runOurs(servers, load)
      report('Countersink, one aggregator', ours)
      if (peer !== undefined) {
        console.log(`ratio ${(ours.eventsPerSecond / peer.eventsPerSecond).toFixed(2)}`)
      }
      runs.push({ ours, peer })
    } finally {
      await servers.stop()
    }
  }
  const ratios = runs.flatMap(({ ours, peer }) =>
    peer === undefined ? [] : [ours.eventsPerSecond / peer.eventsPerSecond],
  )
  writeResults('throughput', { events, partitions: PARTITIONS, runs, ratios })
}

async function fill(servers: BenchServers, events: number): Promise<TopicLoad> {
  await servers.makeTopic(TOPIC, PARTITIONS)
  // An hour ago: nothing lies in the future, and no side may drop it for its age.
  const startMs = (Math.floor(Date.now() / MINUTE_MS) - 60) * MINUTE_MS
  const load = await fillTopic(servers.brokers, TOPIC, PARTITIONS, { events, seed: SEED, startMs })
  const bytes = (load.bytes / events).toFixed(1)
  console.log(`${events} events of ${bytes} bytes in ${PARTITIONS} partitions`)
  return load
}

async function runOurs(servers: BenchServers, load: TopicLoad): Promise<SideResult> {
  const aggregator = await startAggregator({
    ...servers,
    topic: load.topic,
    contractsYaml: CONTRACTS,
  })
  try {
    const endMs = await untilCounted(servers.databaseUrl, load)
    const seconds = (endMs - (await firstLoadMs(aggregator))) / 1000
    await checkSums(servers.databaseUrl, load)
    const events = load.ends.reduce((sum, end) => sum + end, 0)
    return { seconds, eventsPerSecond: events / seconds }
  } catch (error) {
    console.error((await aggregator.log()).slice(-2000))
    throw error
  } finally {
    await aggregator.stop()
  }
}

function report(side: string, result: SideResult): void {
  const rate = Math.round(result.eventsPerSecond).toLocaleString('en')
  console.log(`${side}: ${rate} events/s (${result.seconds.toFixed(2)} s, all sums checked)`)
}

await main()
