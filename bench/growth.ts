import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkSums, untilCounted, untilLoaded } from './counted.ts'
import { holdTopic } from './held-topic.ts'
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
/** Reading ten million windows through the views takes over a minute: with more only totals are. */
const WINDOW_CELLS_MAX = 10_000_000

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
  /** That the step took, with making the events and counting those before. */
  tookSeconds: number
}

/** Whether it gets slower with the number of events that were counted, and with the number of keys. */
async function main(): Promise<void> {
  const servers = await startServers()
  const steps: Step[] = []
  const { lateness } = values
  try {
    for (const line of values.plan.split(';')) {
      const [keys = '', events = ''] = line.split(':')
      for await (const step of grow(servers, Number(keys), events.split(',').map(eventCount))) {
        const [rate, took] = [whole(step.eventsPerSecond), whole(step.tookSeconds)]
        const { keys: ofKeys, events: after } = step
        console.error(`${ofKeys} keys, ${after} events: ${rate} events/s; it took ${took} s`)
        steps.push(step)
        // What there is is kept at once: what takes long must not be lost with its end.
        writeResults(`growth-${ENCODING}`, { encoding: ENCODING, lateness, steps })
      }
    }
  } finally {
    await servers.stop()
    console.log(tableOf(steps))
  }
}

function tableOf(steps: readonly Step[]): string {
  const head = ['keys', 'after events', 'events/s', 'loaded after, s', 'took, s']
  const rows = steps.map(({ keys, events, eventsPerSecond, loadSeconds, tookSeconds }) => {
    const figures = [keys, events, eventsPerSecond].map(whole)
    return [...figures, number(loadSeconds, 2), whole(tookSeconds)]
  })
  return markdown(head, rows)
}

/**
 * Up to shortly before each step an aggregator counts while more is appended. Then that one is
 * stopped, the rest is appended and held back until a new one has loaded all partitions, which is
 * timed from then until all is counted.
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
      windowCellsMax: WINDOW_CELLS_MAX,
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
    const beginMs = performance.now()
    const more = step - MEASURED - made
    if (more > 0) {
      await withAggregator(service, async () => {
        await appendToTopic(options, load, events, more)
        await untilCounted(databaseUrl, load)
      })
      made += more
    }
    const before = load.events
    const held = await holdTopic(servers.brokers, load)
    await appendToTopic(options, load, events, step - made)
    made = step
    const startMs = Date.now()
    yield await withAggregator(service, async (aggregator) => {
      const loadSeconds = ((await untilLoaded(aggregator, PARTITIONS)) - startMs) / 1000
      const shownMs = Date.now()
      await held.release()
      const endMs = await untilCounted(databaseUrl, load)
      const eventsPerSecond = (load.events - before) / ((endMs - shownMs) / 1000)
      const tookSeconds = (performance.now() - beginMs) / 1000
      return { keys, events: step, eventsPerSecond, loadSeconds, tookSeconds }
    })
  }
  const checkMs = performance.now()
  await checkSums(databaseUrl, load)
  console.error(
    `${keys} keys: all sums checked in ${whole((performance.now() - checkMs) / 1000)} s`,
  )
  await servers.dropDatabase(run)
  await servers.deleteTopic(options.topic)
}

await main()
