import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createProducer, type EventInput, type Producer } from '@countersink/producer'
import { createLogger } from '@countersink/shared/log'
import { followFetches, type FetchTimes } from './fetch-times.ts'
import { COUNTER, createRandom, keyName, LOADS, UNIT } from './loads.ts'
import { metricOf } from './metrics.ts'
import { quantile } from './results.ts'
import type { BenchServers } from './servers.ts'
import { type Service, startAggregator, startQueryApi } from './services.ts'
import type { Encoding } from './topic-load.ts'

const PARTITIONS = 8
const TICK_MS = 2
const WARM_UP_S = 5
/** Events that are followed until the API shows them. */
const PROBES_PER_SECOND = 100
const PROBE_MS_MAX = 30_000
const SETTLE_MS = 2000
/** From this rate on the events of a tick go in one addMany(), the probes still one by one. */
const BULK_RATE_MIN = 50_000
const FULL_SPEED_S = 8
const LIST_EVENTS = 5000
const LISTS_UNDER_WAY = 4

export type FreshnessOptions = {
  servers: BenchServers
  /** Good for a topic, a database and a directory; no other run has it. */
  name: string
  encoding: Encoding
  /** Events per second; `half` is half of what the whole way was seen to carry just before. */
  rate: number | 'half'
  seconds: number
  runs: number
  onRun: (text: string) => void
}

/** All times in milliseconds from the moment an event was due, not from when it could be sent. */
type Probe = { visible: number; acknowledged: number; fetched: number }

export type FreshnessRun = Record<
  'visible' | 'acknowledged' | 'fetched',
  { p50: number; p99: number; max: number }
> & { commits: Commits }

/** How many the aggregator made meanwhile, from sealing to confirmation. */
type Commits = { count: number; over50ms: number }

export type Freshness = {
  encoding: Encoding
  ratePerSecond: number
  /** Events per second from add() until visible, as fast as it goes; when that was asked for. */
  fullSpeed?: number
  runs: FreshnessRun[]
}

/** From add() to visible through the API, open loop, beside bare produce-to-fetch. */
export async function measureFreshness(options: FreshnessOptions): Promise<Freshness> {
  const { servers, name, encoding } = options
  const topic = `bench.${name}`
  await servers.makeTopic(topic, PARTITIONS)
  const databaseUrl = await servers.makeDatabase(name, { migrated: true })
  const dir = join(servers.dir, name)
  await mkdir(dir)
  const service = { brokers: servers.brokers, databaseUrl, topic, dir, contractsYaml: '' }
  const services: Service[] = []
  try {
    const aggregator = await startAggregator(service)
    services.push(aggregator)
    const api = await startQueryApi(service)
    services.push(api)
    const brokers = servers.brokers.split(',')
    const way = { brokers, topic, encoding, aggregator, api: api.url }
    const fullSpeed = options.rate === 'half' ? await measureFullSpeed(way) : undefined
    if (fullSpeed !== undefined) options.onRun(`full speed ${Math.round(fullSpeed)} events/s`)
    const ratePerSecond = options.rate === 'half' ? (fullSpeed ?? 0) / 2 : options.rate
    const runs: FreshnessRun[] = []
    for (let i = 0; i < options.runs; i++) {
      const run = await measure(way, ratePerSecond, options.seconds)
      options.onRun(`run ${i + 1}: ${describe(run)}`)
      runs.push(run)
    }
    return { encoding, ratePerSecond, ...(fullSpeed !== undefined && { fullSpeed }), runs }
  } finally {
    for (const running of services.toReversed()) await running.stop()
    await servers.dropDatabase(name)
  }
}

type Way = {
  brokers: string[]
  topic: string
  encoding: Encoding
  aggregator: Service
  api: string
}

async function startProducer(way: Way): Promise<Producer> {
  const producer = createProducer({
    brokers: way.brokers,
    topic: way.topic,
    format: way.encoding,
    logger: createLogger('bench', 'silent'),
  })
  await producer.start()
  return producer
}

async function measure(way: Way, rate: number, seconds: number): Promise<FreshnessRun> {
  const producer = await startProducer(way)
  const fetches = await followFetches(way.brokers, way.topic)
  try {
    const before = await commitsOf(way.aggregator)
    const probes = await sendOpenLoop(producer, way.api, fetches, { rate, seconds })
    const after = await commitsOf(way.aggregator)
    return {
      commits: {
        count: after.count - before.count,
        over50ms: after.over50ms - before.over50ms,
      },
      visible: summary(probes.map((probe) => probe.visible)),
      acknowledged: summary(probes.map((probe) => probe.acknowledged)),
      fetched: summary(probes.map((probe) => probe.fetched)),
    }
  } finally {
    await fetches.stop()
    await producer.stop()
    await sleep(SETTLE_MS)
  }
}

async function commitsOf(aggregator: Service): Promise<Commits> {
  const name = 'countersink_commit_seconds'
  const count = await metricOf(aggregator, `${name}_count`)
  const within = await metricOf(aggregator, `${name}_bucket`, 'le="0.05"')
  return { count, over50ms: count - within }
}

/** Events a second when the next ones are sent as soon as the SDK takes them, until all are visible. */
async function measureFullSpeed(way: Way): Promise<number> {
  const producer = await startProducer(way)
  const makeEvent = eventMaker()
  const startMs = performance.now()
  let [sent, position] = [0, '']
  const worker = async (): Promise<void> => {
    while (performance.now() - startMs < FULL_SPEED_S * 1000) {
      const list = Array.from({ length: LIST_EVENTS }, makeEvent)
      const receipt = await producer.addMany(list)
      if (receipt.delivered !== list.length) throw new Error('not all events were delivered')
      sent += receipt.delivered
      position = receipt.position
    }
  }
  await Promise.all(Array.from({ length: LISTS_UNDER_WAY }, worker))
  await seen(way.api, keyName(0), position)
  const seconds = (performance.now() - startMs) / 1000
  await producer.stop()
  return sent / seconds
}

/** An event of the load, as it is now; the SDK makes its id. */
function eventMaker(): () => EventInput {
  const random = createRandom(Date.now())
  return () => ({ counter: COUNTER, key: keyName(LOADS.cubed.pick(random() * UNIT)), delta: 1 })
}

/**
 * Events are due at fixed times, whatever became of those before. A late start of one is part of
 * its latency, so that a standstill is seen by all events that it held up.
 */
async function sendOpenLoop(
  producer: Producer,
  api: string,
  fetches: FetchTimes,
  { rate, seconds }: { rate: number; seconds: number },
): Promise<Probe[]> {
  const total = Math.floor(rate * (seconds + WARM_UP_S))
  const probeEvery = Math.max(Math.round(rate / PROBES_PER_SECOND), 1)
  const makeEvent = eventMaker()
  const probes: Promise<Probe>[] = []
  const startMs = performance.now() + TICK_MS
  let failure: unknown
  const keep = (added: Promise<unknown>): void => {
    added.catch((error: unknown) => (failure ??= error))
  }
  for (let sent = 0; sent < total;) {
    const due = Math.min(Math.floor(((performance.now() - startMs) / 1000) * rate), total)
    const list: EventInput[] = []
    for (; sent < due; sent++) {
      const event = makeEvent()
      if (sent % probeEvery === 0 && sent >= rate * WARM_UP_S) {
        const dueMs = startMs + (sent / rate) * 1000
        const probe = follow(producer.add(event), event.key, dueMs, api, fetches)
        probes.push(probe)
        keep(probe)
      } else if (rate < BULK_RATE_MIN) keep(producer.add(event))
      else list.push(event)
    }
    if (list.length > 0) keep(producer.addMany(list))
    await sleep(TICK_MS)
    if (failure !== undefined) throw failure
  }
  return Promise.all(probes)
}

async function follow(
  added: ReturnType<Producer['add']>,
  key: string,
  dueMs: number,
  api: string,
  fetches: FetchTimes,
): Promise<Probe> {
  const receipt = await added
  const acknowledged = performance.now() - dueMs
  await seen(api, key, receipt.position)
  const visible = performance.now() - dueMs
  const fetchedMs = await fetches.timeOf(receipt.partition, receipt.offset)
  return { visible, acknowledged, fetched: fetchedMs - dueMs }
}

/** Resolves when the API's answer counts everything up to the position. */
async function seen(api: string, key: string, position: string): Promise<void> {
  const url = `${api}/v1/counters/${COUNTER}/keys/${key}?after=${position}`
  const deadline = performance.now() + PROBE_MS_MAX
  for (;;) {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_MS_MAX) })
    const body = await response.text()
    if (response.ok) return
    // The API waits a bounded time, then says so.
    if (response.status !== 503 || performance.now() > deadline) {
      throw new Error(`${response.status}: ${body}`)
    }
  }
}

function summary(times: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = times.toSorted((a, b) => a - b)
  const [p50, p99, max] = [0.5, 0.99, 1].map((q) => Number(quantile(sorted, q).toFixed(1)))
  return { p50: p50 ?? Number.NaN, p99: p99 ?? Number.NaN, max: max ?? Number.NaN }
}

function describe(run: FreshnessRun): string {
  const words = (name: 'visible' | 'acknowledged' | 'fetched'): string => {
    const { p50, p99, max } = run[name]
    return `${name} p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`
  }
  const { count, over50ms } = run.commits
  const commits = `${count} commits, ${over50ms} of more than 50 ms`
  return `${words('visible')}; ${words('fetched')}; ${words('acknowledged')}; ${commits}`
}
