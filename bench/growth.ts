import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkSums, firstLoadMs, lastLoadMs, untilCounted } from './counted.ts'
import { eventCount, flatShape, loadEvents, startOf } from './loads.ts'
import { writeResults } from './results.ts'
import { type BenchServers, startServers } from './servers.ts'
import { withAggregator } from './services.ts'
import { markdown, number, whole } from './throughput-table.ts'
import { appendToTopic, emptyTopic } from './topic-load.ts'

const PARTITIONS = 8
const SEED = 11
/** Events whose rate is measured, before each step. */
const MEASURED = 2_000_000
/** Between steps as much is appended and counted at once. */
const CHUNK = 1_000_000

const { values } = parseArgs({
  options: {
    /** Numbers of keys, and for each the numbers of events, rising, after which it is measured. */
    plan: { type: 'string', default: '1000:2m,10m;100000:2m,10m,50m;3000000:2m,10m' },
    packed: { type: 'boolean', default: false },
    /** How long ids are remembered: at 120,000 events a minute 1h is 7.2 million events. */
    lateness: { type: 'string', default: '1h' },
  },
})

const ENCODING = values.packed ? 'packed' : 'json'

type Step = {
  keys: number
  events: number
  /** Of the last 2 million events before it. */
  eventsPerSecond: number
  /** From the start of the process until all partitions were loaded. */
  loadSeconds: number
}

/** Whether it gets slower with the number of events that were counted, and with the number of keys. */
async function main(): Promise<void> {
  const servers = await startServers()
  const steps: Step[] = []
  try {
    for (const line of values.plan.split(';')) {
      const [keys = '', events = ''] = line.split(':')
      for await (const step of grow(servers, Number(keys), events.split(',').map(eventCount))) {
        const rate = whole(step.eventsPerSecond)
        console.error(`${step.keys} keys, ${step.events} events: ${rate} events/s`)
        steps.push(step)
      }
    }
  } finally {
    await servers.stop()
  }
  const head = ['keys', 'after events', 'events/s', 'loaded after, s']
  const rows = steps.map(({ keys, events, eventsPerSecond, loadSeconds }) => {
    return [whole(keys), whole(events), whole(eventsPerSecond), number(loadSeconds, 2)]
  })
  console.log(markdown(head, rows))
  writeResults(`growth-${ENCODING}`, { encoding: ENCODING, lateness: values.lateness, steps })
}

/**
 * Counts up to shortly before each step with a running aggregator. Then that one is stopped, more
 * is appended, and a new one is timed from its first loaded partition until all is counted.
 */
async function* grow(
  servers: BenchServers,
  keys: number,
  steps: readonly number[],
): AsyncGenerator<Step> {
  const total = Math.max(...steps)
  const run = `growth_${keys}`
  const options = {
    brokers: servers.brokers,
    topic: `bench.${run}`,
    encoding: ENCODING,
    partitions: PARTITIONS,
    load: {
      shape: flatShape(keys),
      events: total,
      seed: SEED,
      startMs: startOf(total, Date.now()),
    },
  } as const
  await servers.makeTopic(options.topic, PARTITIONS)
  const databaseUrl = await servers.makeDatabase(run, { migrated: true })
  const dir = join(servers.dir, run)
  await mkdir(dir)
  const contractsYaml = `defaults: { lateness: ${values.lateness}, windows: [1m] }\n`
  const service = { ...servers, databaseUrl, topic: options.topic, dir, contractsYaml }
  const load = emptyTopic(options)
  const events = loadEvents(options.load)
  let made = 0
  for (const step of steps) {
    await withAggregator(service, async () => {
      while (made < step - MEASURED) {
        const more = Math.min(CHUNK, step - MEASURED - made)
        await appendToTopic(options, load, events, more)
        await untilCounted(databaseUrl, load)
        made += more
      }
    })
    const before = load.events
    await appendToTopic(options, load, events, step - made)
    made = step
    const startMs = Date.now()
    yield await withAggregator(service, async (aggregator) => {
      const endMs = await untilCounted(databaseUrl, load)
      const seconds = (endMs - (await firstLoadMs(aggregator))) / 1000
      const loadSeconds = ((await lastLoadMs(aggregator, PARTITIONS)) - startMs) / 1000
      const eventsPerSecond = (load.events - before) / seconds
      return { keys, events: step, eventsPerSecond, loadSeconds }
    })
  }
  await checkSums(databaseUrl, load)
  await servers.dropDatabase(run)
  await servers.deleteTopic(options.topic)
}

await main()
