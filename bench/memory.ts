import { parseArgs } from 'node:util'
import { freePort } from '@countersink/local/ports'
import { untilCounted } from './counted.ts'
import { LOADS, loadEvents, startOf } from './loads.ts'
import { metricOf } from './metrics.ts'
import {
  type Allocated,
  inspectProcess,
  type ProcessInspector,
  type ProcessMemory,
} from './process-memory.ts'
import { writeResults } from './results.ts'
import { startServers } from './servers.ts'
import { type Service, startAggregator } from './services.ts'
import { appendToTopic, emptyTopic } from './topic-load.ts'

/** Longer than the load is, so that every id stays remembered. */
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m] }\n'
const TOPIC = 'bench.memory'
const PARTITIONS = 8
const SEED = 7
/** As much is appended at once: how far behind the aggregator is decides how large its batches are. */
const CHUNK = 1_000_000
/** Whose allocations are told apart. What the fold and the commit call counts for them. */
const PLACES = ['/shared/src/kafka/', '/aggregator/src/core/', '/aggregator/src/']

const { values } = parseArgs({
  options: {
    /** Event counts at which memory is read, rising. */
    steps: { type: 'string', default: '1000000,2000000,5000000,10000000' },
  },
})

type Reading = ProcessMemory & {
  events: number
  ids: number
  bytesPerId: number
  /** Heap and array buffers without the remembered ids. */
  otherBytes: number
  /** On V8's heap since the last reading. */
  allocatedPerEvent: Allocated[]
}

/** Memory of one aggregator after more and more events, all of whose ids it remembers. */
async function main(): Promise<void> {
  const steps = values.steps.split(',').map(Number)
  const total = Math.max(...steps)
  const servers = await startServers()
  const inspectPort = await freePort()
  const aggregator = await startAggregator({
    ...servers,
    topic: TOPIC,
    contractsYaml: CONTRACTS,
    nodeArgs: [`--inspect=127.0.0.1:${inspectPort}`],
  })
  try {
    const inspector = await inspectProcess(inspectPort)
    await servers.makeTopic(TOPIC, PARTITIONS)
    const startMs = startOf(total, Date.now())
    const options = {
      brokers: servers.brokers,
      topic: TOPIC,
      encoding: 'json',
      partitions: PARTITIONS,
      load: { shape: LOADS.cubed, events: total, seed: SEED, startMs },
    } as const
    const load = emptyTopic(options)
    const events = loadEvents(options.load)
    const readings: Reading[] = []
    for (let i = 0; i < steps.length; i++) {
      const [from, to] = [steps[i - 1] ?? 0, steps[i] ?? 0]
      await inspector.startSampling()
      for (let at = from; at < to; at += CHUNK) {
        await appendToTopic(options, load, events, Math.min(CHUNK, to - at))
        await untilCounted(servers.databaseUrl, load)
      }
      const allocated = await inspector.stopSampling(PLACES)
      const allocatedPerEvent = allocated.map(({ where, bytes }) => {
        return { where, bytes: bytes / (to - from) }
      })
      const reading = { ...(await read(aggregator, inspector, to)), allocatedPerEvent }
      readings.push(reading)
      report(reading)
    }
    const others = readings.map((reading) => reading.otherBytes)
    const spread = Math.max(...others) / Math.min(...others) - 1
    console.log(`everything else grew by ${(spread * 100).toFixed(1)}% at most`)
    writeResults('memory', { partitions: PARTITIONS, readings, spread })
    inspector.close()
  } finally {
    await aggregator.stop()
    await servers.stop()
  }
}

async function read(
  aggregator: Service,
  inspector: ProcessInspector,
  events: number,
): Promise<Omit<Reading, 'allocatedPerEvent'>> {
  const ids = await metricOf(aggregator, 'countersink_ids_count')
  const idBytes = await metricOf(aggregator, 'countersink_ids_bytes')
  if (ids === 0 || idBytes === 0)
    throw new Error('nothing is remembered, or the metrics have other names')
  const memory = await inspector.memory()
  const otherBytes = memory.heapUsed + memory.arrayBuffers - idBytes
  return { events, ids, bytesPerId: idBytes / ids, otherBytes, ...memory }
}

function report(reading: Reading): void {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  const allocated = reading.allocatedPerEvent
    .map(({ where, bytes }) => `${bytes.toFixed(1)} in ${where}`)
    .join(', ')
  console.log(
    `${reading.events} events: ${reading.ids} ids at ${reading.bytesPerId.toFixed(1)} bytes, ` +
      `everything else ${megabytes(reading.otherBytes)}, rss ${megabytes(reading.rss)}, ` +
      `allocated an event: ${allocated}`,
  )
}

await main()
