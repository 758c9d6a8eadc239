import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { processEnvironment } from '@countersink/local/config'
import { findJava } from '@countersink/local/tools'
import { kafkaDistributionDir } from '@countersink/local/kafka-distribution'
import { createProducer, type EventInput, type Producer } from '@countersink/producer'
import { COUNTER, createRandom, eventCount, keyName, LOADS, UNIT } from './loads.ts'
import { median, writeResults } from './results.ts'
import { type BenchServers, startServers } from './servers.ts'

/*
 * How many events a second one process gets acknowledged: packed by addMany() and by add(), as JSON
 * by add(), and the records of Kafka's own Java producer. Sending alone: nobody counts meanwhile.
 */

const TOPIC = 'bench.producing'
const PARTITIONS = 8
/** One list of addMany(): what a bulk loader reads at a time. */
const LIST_EVENTS = 50_000
/** A loop that adds one by one looks for room as often as this. */
const EVENTS_PER_LOOK = 256
/** With more on its way the broker is not waited for; for bulk loads, see docs/producing.md. */
const BULK_BUFFER_EVENTS = 100_000

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '2m' },
    runs: { type: 'string', default: '3' },
    java: { type: 'boolean', default: true },
  },
  allowNegative: true,
})
const EVENTS = eventCount(values.events)
const RUNS = Number(values.runs)

type Run = { perSecond: number; cpuUs: number }
type Way = {
  title: string
  format: 'packed' | 'json'
  send: Send
  bufferEventsMax?: number
  combine?: boolean
}
type Send = (producer: Producer, events: readonly EventInput[]) => Promise<void>

const WAYS: readonly Way[] = [
  {
    title: 'packed, addMany',
    format: 'packed',
    send: sendMany,
    bufferEventsMax: BULK_BUFFER_EVENTS,
  },
  { title: 'packed, addMany, default buffer', format: 'packed', send: sendMany },
  { title: 'packed, add', format: 'packed', send: sendEach },
  { title: 'packed, add, combined', format: 'packed', send: sendEach, combine: true },
  { title: 'JSON, add', format: 'json', send: sendEach },
]

async function main(): Promise<void> {
  const servers = await startServers()
  const results: Record<string, { median: Run; runs: Run[] }> = {}
  const keep = (title: string, runs: Run[]): void => {
    const perSecond = median(runs.map((run) => run.perSecond))
    const cpuUs = median(runs.map((run) => run.cpuUs))
    results[title] = { median: { perSecond, cpuUs }, runs }
    const rate = Math.round(perSecond).toLocaleString('en')
    console.log(`${title}: ${rate} a second, ${cpuUs.toFixed(2)} us of CPU each`)
  }
  try {
    const events = makeEvents(EVENTS)
    for (const way of WAYS) keep(way.title, await measure(servers, way, events))
    if (values.java) {
      await servers.makeTopic(TOPIC, PARTITIONS)
      keep("records of Kafka's Java producer", await measureJava(servers.brokers))
    }
  } finally {
    await servers.stop()
  }
  writeResults('producing', { events: EVENTS, partitions: PARTITIONS, results })
}

/** Without ids, as most services send them: the SDK makes them. */
function makeEvents(count: number): EventInput[] {
  const random = createRandom(1)
  const startMs = Date.now()
  return Array.from({ length: count }, (_, i) => {
    const key = keyName(LOADS.cubed.pick(random() * UNIT))
    return { counter: COUNTER, key, delta: 1, at: startMs + Math.floor(i / 1000) }
  })
}

async function measure(
  servers: BenchServers,
  { format, send, bufferEventsMax, combine = false }: Way,
  events: readonly EventInput[],
): Promise<Run[]> {
  await servers.makeTopic(TOPIC, PARTITIONS)
  const producer = createProducer({
    brokers: servers.brokers.split(','),
    topic: TOPIC,
    format,
    combine,
    ...(bufferEventsMax !== undefined && { bufferEventsMax }),
  })
  await producer.start()
  const runs: Run[] = []
  // The first run warms up.
  for (let i = 0; i <= RUNS; i++) {
    const cpu = process.cpuUsage()
    const begun = performance.now()
    await send(producer, events)
    const seconds = (performance.now() - begun) / 1000
    const { user, system } = process.cpuUsage(cpu)
    if (i > 0) {
      runs.push({ perSecond: events.length / seconds, cpuUs: (user + system) / events.length })
    }
  }
  const { delivered, combined } = producer.stats()
  await producer.stop()
  await servers.deleteTopic(TOPIC)
  const expected = events.length * (RUNS + 1)
  if (delivered + combined !== expected) {
    throw new Error(`${delivered + combined} of ${expected} events were delivered`)
  }
  return runs
}

async function sendMany(producer: Producer, events: readonly EventInput[]): Promise<void> {
  for (let i = 0; i < events.length; i += LIST_EVENTS) {
    await producer.addMany(events.slice(i, i + LIST_EVENTS))
  }
}

async function sendEach(producer: Producer, events: readonly EventInput[]): Promise<void> {
  for (let i = 0; i < events.length; i += EVENTS_PER_LOOK) {
    await producer.room()
    for (const event of events.slice(i, i + EVENTS_PER_LOOK)) void producer.add(event)
  }
  await producer.flush()
}

/** Its JVM warms up in a run of its own, as ours does. */
async function measureJava(brokers: string): Promise<Run[]> {
  const environment = processEnvironment()
  const java = await findJava(environment)
  if (java === undefined) throw new Error('the Java producer needs Java 17 or later')
  const jars = join(kafkaDistributionDir(environment), '*')
  const program = join(import.meta.dirname, 'java-producer', 'ProducerLoop.java')
  const numbers = [EVENTS, RUNS + 1, LOADS.cubed.keys].map(String)
  const args = ['-cp', jars, program, brokers, TOPIC, ...numbers]
  const { stdout } = await promisify(execFile)(java.path, args)
  return stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [perSecond = Number.NaN, cpuUs = Number.NaN] = line.split(' ').map(Number)
      return { perSecond, cpuUs }
    })
}

await main()
