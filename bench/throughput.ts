import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '@countersink/shared/errors'
import { type Freshness, type FreshnessOptions, measureFreshness } from './freshness-run.ts'
import { LoadTopics } from './load-topics.ts'
import { eventCount, LOADS, type LoadName } from './loads.ts'
import { type Job, scheduleJobs } from './schedule.ts'
import { type BenchServers, startServers } from './servers.ts'
import { ALL_SIDES, OUR_SIDES, PEER_SIDES } from './sides/all-sides.ts'
import type { Side } from './sides/side.ts'
import { keepReport } from './throughput-report.ts'
import { emptyResult, number, type SideResult, whole } from './throughput-table.ts'

/** For what a broker and a database still do after one side has ended. */
const QUIET_MS = 3000
/** Starting, warming up, checking and removing, beside the counting itself. */
const OVERHEAD_S = 20
const DEFAULT_LOADS: readonly LoadName[] = ['skewed', 'flat', 'hot', 'duplicates', 'windows']

const { values } = parseArgs({
  options: {
    /** Of each load; 8m is eight million. */
    events: { type: 'string', default: '4m' },
    runs: { type: 'string', default: '3' },
    /** No job is started that would probably end later; what is left out is said. */
    minutes: { type: 'string', default: '25' },
    'no-freshness': { type: 'boolean', default: false },
    loads: { type: 'string', default: DEFAULT_LOADS.join(',') },
    sides: { type: 'string', default: [...PEER_SIDES, ...OUR_SIDES].map((s) => s.name).join(',') },
  },
})

/** What is asked how fresh it is at the end. */
const FRESHNESS: readonly Pick<FreshnessOptions, 'encoding' | 'rate'>[] = [
  { encoding: 'json', rate: 20_000 },
  { encoding: 'packed', rate: 20_000 },
  { encoding: 'json', rate: 'half' },
  { encoding: 'packed', rate: 'half' },
]
const FRESHNESS_SECONDS = 10
const FRESHNESS_RUNS = 2
/** For all of them. */
const FRESHNESS_S = 200

/** Events per second and what they cost, ours beside the peers, on one broker and one Postgres. */
async function main(): Promise<void> {
  const startMs = performance.now()
  const events = eventCount(values.events)
  const loads = values.loads.split(',').map(loadNamed)
  const sides = values.sides.split(',').map(sideNamed)
  for (const side of sides) await side.prepare?.()
  const results = new Map(loads.map((load) => [load, sides.map(emptyResult)]))
  const jobs = scheduleJobs({ loads, sides, runs: Number(values.runs) })
  const withFreshness = !values['no-freshness']
  const endMs = startMs + (Number(values.minutes) * 60 - (withFreshness ? FRESHNESS_S : 0)) * 1000
  const freshness: Freshness[] = []
  let interrupted = false
  process.once('SIGINT', () => {
    interrupted = true
    console.error('no further job is started; once more ends at once')
  })
  const servers = await startServers()
  const topics = new LoadTopics(servers, events)
  try {
    const durations = new Map<Side, number>()
    for (const [number, job] of jobs.entries()) {
      const leftS = (endMs - performance.now()) / 1000
      const guessS = durations.get(job.side) ?? OVERHEAD_S + events / job.side.eventsPerSecondGuess
      const label = `${number + 1}/${jobs.length} ${job.load}, ${job.side.title}`
      if (interrupted) break
      if (guessS > leftS) {
        console.error(`${label}: left out, ${Math.round(leftS)} s are left`)
        continue
      }
      const jobStartMs = performance.now()
      const result = results.get(job.load)?.find(({ side }) => side === job.side.name)
      if (result === undefined) continue
      const outcome = await runJob(job, topics, servers, result, `run_${number}`)
      durations.set(job.side, (performance.now() - jobStartMs) / 1000)
      console.error(`${label}: ${outcome}`)
      // What there is is kept at once: an hour of measuring must not be lost with its end.
      keepReport({ events, topics, results, freshness })
      await sleep(QUIET_MS)
    }
    if (withFreshness && !interrupted) freshness.push(...(await freshnessOf(servers)))
  } finally {
    await servers.stop()
    console.log(keepReport({ events, topics, results, freshness }))
  }
}

/** Runs a side on a load once, keeps what was measured or went wrong, and says it. */
async function runJob(
  job: Job,
  topics: LoadTopics,
  servers: BenchServers,
  result: SideResult,
  run: string,
): Promise<string> {
  try {
    const load = await topics.of(job.load, job.side.encoding)
    const warm = await topics.warm(job.load)
    result.events = load.events
    const measured = await job.side.run({ servers, run, load, warm })
    result.runs.push(measured)
    const { eventsPerSecond, seconds } = measured
    return `${whole(eventsPerSecond)} events/s (${number(seconds, 2)} s, sums checked)`
  } catch (error) {
    console.error(error)
    const message = messageOf(error)
    result.errors.push(message)
    return `failed: ${message}`
  }
}

async function freshnessOf(servers: BenchServers): Promise<Freshness[]> {
  const measured: Freshness[] = []
  for (const { encoding, rate } of FRESHNESS) {
    try {
      const freshness = await measureFreshness({
        servers,
        name: `freshness_${encoding}_${rate}`,
        encoding,
        rate,
        seconds: FRESHNESS_SECONDS,
        runs: FRESHNESS_RUNS,
        onRun: (text) => console.error(`freshness, ${encoding}, ${rate}: ${text}`),
      })
      measured.push(freshness)
    } catch (error) {
      console.error(error)
    }
  }
  return measured
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
