import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '@countersink/shared/errors'
import type { LoadOracle } from './load-oracle.ts'
import { LOADS, type LoadName, type LoadOptions, startOf } from './loads.ts'
import { writeResults } from './results.ts'
import { type Job, scheduleJobs } from './schedule.ts'
import { type BenchServers, startServers } from './servers.ts'
import { ALL_SIDES, OUR_SIDES, PEER_SIDES } from './sides/all-sides.ts'
import type { Side } from './sides/side.ts'
import {
  emptyResult,
  number,
  ratios,
  type SideResult,
  sidesTable,
  storedTable,
  whole,
} from './throughput-table.ts'
import { type Encoding, fillTopic, type TopicLoad } from './topic-load.ts'

const PARTITIONS = 8
const SEED = 20_250_101
const WARM_EVENTS_MAX = 300_000
/** For what a broker and a database still do after one side has ended. */
const QUIET_MS = 3000
/** Starting, warming up, checking and removing, beside the counting itself. */
const OVERHEAD_S = 20
const DEFAULT_LOADS: readonly LoadName[] = ['skewed', 'flat', 'hot', 'duplicates', 'windows']
const FIRST_PEER_LOADS: readonly LoadName[] = ['skewed', 'flat']

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '4000000' },
    runs: { type: 'string', default: '3' },
    /** No job is started that would probably end later; what is left out is said. */
    minutes: { type: 'string', default: '25' },
    loads: { type: 'string', default: DEFAULT_LOADS.join(',') },
    sides: { type: 'string', default: [...PEER_SIDES, ...OUR_SIDES].map((s) => s.name).join(',') },
  },
})

/** A load's topics, made when the first side asks for them. */
type LoadTopics = { oracle?: LoadOracle; options: LoadOptions } & Partial<
  Record<Encoding, TopicLoad>
>

/** Events per second and what they cost, ours beside the peers, on one broker and one Postgres. */
async function main(): Promise<void> {
  const startMs = performance.now()
  const loads = values.loads.split(',').map(loadNamed)
  const sides = values.sides.split(',').map(sideNamed)
  for (const side of sides) await side.prepare?.()
  const results = new Map(loads.map((load) => [load, sides.map(emptyResult)]))
  const jobs = scheduleJobs({
    loads,
    sides,
    firstPeerLoads: FIRST_PEER_LOADS,
    runs: Number(values.runs),
  })
  const servers = await startServers()
  const topics = new Topics(servers, Number(values.events))
  try {
    const durations = new Map<Side, number>()
    for (const [number, job] of jobs.entries()) {
      const leftS = Number(values.minutes) * 60 - (performance.now() - startMs) / 1000
      const guessS = durations.get(job.side) ?? OVERHEAD_S + guessSeconds(job.side)
      const label = `${number + 1}/${jobs.length} ${job.load}, ${job.side.title}`
      if (guessS > leftS) {
        console.error(`${label}: left out, ${Math.round(leftS)} s are left`)
        continue
      }
      const jobStartMs = performance.now()
      const result = results.get(job.load)?.find(({ side }) => side === job.side.name)
      if (result !== undefined) await runJob(job, topics, servers, result, `run_${number}`)
      durations.set(job.side, (performance.now() - jobStartMs) / 1000)
      console.error(`${label}: ${lastOf(result)}`)
      await sleep(QUIET_MS)
    }
  } finally {
    await servers.stop()
  }
  report(results, topics)
}

async function runJob(
  job: Job,
  topics: Topics,
  servers: BenchServers,
  result: SideResult,
  run: string,
): Promise<void> {
  try {
    const load = await topics.of(job.load, job.side.encoding)
    const warm = await topics.warm(job.load)
    result.events = load.events
    result.runs.push(await job.side.run({ servers, run, load, warm }))
  } catch (error) {
    console.error(error)
    result.errors.push(messageOf(error))
  }
}

class Topics {
  readonly #servers: BenchServers
  readonly #events: number
  readonly #loads = new Map<LoadName, LoadTopics>()
  readonly #warm = new Map<LoadName, TopicLoad>()

  constructor(servers: BenchServers, events: number) {
    this.#servers = servers
    this.#events = events
  }

  known(name: LoadName): LoadTopics | undefined {
    return this.#loads.get(name)
  }

  async of(name: LoadName, encoding: Encoding): Promise<TopicLoad> {
    let topics = this.#loads.get(name)
    if (topics === undefined) {
      topics = { options: loadOptions(name, this.#events, SEED) }
      this.#loads.set(name, topics)
    }
    const there = topics[encoding]
    if (there !== undefined) return there
    const load = await this.#fill(`bench.${name}.${encoding}`, encoding, topics)
    topics.oracle = load.oracle
    topics[encoding] = load
    const bytes = number(load.bytes / load.events, 1)
    console.error(`${load.topic}: ${whole(load.events)} events of ${bytes} bytes`)
    return load
  }

  /** Other ids and other times than the load's own. */
  async warm(name: LoadName): Promise<TopicLoad> {
    const there = this.#warm.get(name)
    if (there !== undefined) return there
    const events = Math.min(WARM_EVENTS_MAX, Math.ceil(this.#events / 10))
    const options = loadOptions(name, events, SEED + 1)
    const load = await this.#fill(`bench.${name}.warm`, 'json', { options })
    this.#warm.set(name, load)
    return load
  }

  async #fill(
    topic: string,
    encoding: Encoding,
    { options, oracle }: { options: LoadOptions; oracle?: LoadOracle },
  ): Promise<TopicLoad> {
    await this.#servers.makeTopic(topic, PARTITIONS)
    const { brokers } = this.#servers
    return fillTopic({
      brokers,
      topic,
      encoding,
      partitions: PARTITIONS,
      load: options,
      ...(oracle !== undefined && { oracle }),
    })
  }
}

function loadOptions(name: LoadName, events: number, seed: number): LoadOptions {
  return { shape: LOADS[name], events, seed, startMs: startOf(events, Date.now()) }
}

function report(results: ReadonlyMap<LoadName, SideResult[]>, topics: Topics): void {
  const figures = [...results].map(([name, sides]) => {
    const known = topics.known(name)
    const bytes = [known?.json, known?.packed].map((topic) =>
      topic === undefined ? undefined : topic.bytes / topic.events,
    )
    const [json, packed] = bytes
    const { title } = LOADS[name]
    console.log(`\n### ${title}\n`)
    console.log(sidesTable(sides))
    const stored = storedTable(sides)
    console.log(`\n${stored}\n`)
    const compared = ratios(sides)
    for (const [what, ratio] of Object.entries(compared)) {
      console.log(`- ${what}: ${number(ratio, 2)}`)
    }
    return { load: name, title, valueBytes: { json, packed }, ratios: compared, sides }
  })
  writeResults('throughput', {
    events: Number(values.events),
    partitions: PARTITIONS,
    loads: figures,
  })
}

function lastOf(result: SideResult | undefined): string {
  const last = result?.runs.at(-1)
  const error = result?.errors.at(-1)
  if (last === undefined) return error ?? 'nothing'
  return `${whole(last.eventsPerSecond)} events/s (${number(last.seconds, 2)} s, sums checked)`
}

function guessSeconds(side: Side): number {
  return Number(values.events) / side.eventsPerSecondGuess
}

function loadNamed(name: string): LoadName {
  const found = Object.keys(LOADS).find((known) => known === name)
  if (found === undefined) throw new Error(`no load ${name}: ${Object.keys(LOADS).join(', ')}`)
  return name as LoadName
}

function sideNamed(name: string): Side {
  const found = ALL_SIDES.find((side) => side.name === name)
  const names = ALL_SIDES.map((side) => side.name).join(', ')
  if (found === undefined) throw new Error(`no side ${name}: ${names}`)
  return found
}

await main()
