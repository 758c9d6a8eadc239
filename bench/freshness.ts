import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createProducer, type Producer } from '@countersink/producer'
import { createLogger } from '@countersink/shared/log'
import { followFetches, type FetchTimes } from './fetch-times.ts'
import { COUNTER, createRandom, keyName, LOADS, UNIT } from './loads.ts'
import { quantile, writeResults } from './results.ts'
import { type BenchServers, startServers } from './servers.ts'
import { startAggregator, startQueryApi } from './services.ts'

const TOPIC = 'bench.freshness'
const PARTITIONS = 8
const TICK_MS = 2
const WARM_UP_S = 5
/** Every so many events one is followed until the API shows it: 100 a second at 20,000. */
const PROBE_EVERY = 200
const PROBE_MS_MAX = 10_000
const SETTLE_MS = 2000

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string', default: '5' },
  },
})

/** All times in milliseconds from the moment an event was due, not from when it could be sent. */
type Probe = { visible: number; acknowledged: number; fetched: number }

type Run = Record<'visible' | 'acknowledged' | 'fetched', { p50: number; p99: number; max: number }>

/** From add() to visible through the API, open loop, beside bare produce-to-fetch. */
async function main(): Promise<void> {
  const servers = await startServers()
  await servers.makeTopic(TOPIC, PARTITIONS)
  const options = { ...servers, topic: TOPIC, contractsYaml: '' }
  const aggregator = await startAggregator(options)
  const api = await startQueryApi(options)
  const runs: Run[] = []
  try {
    for (let i = 0; i < Number(values.runs); i++) {
      const run = await measure(servers, api.url)
      report(i + 1, run)
      runs.push(run)
    }
  } finally {
    await api.stop()
    await aggregator.stop()
    await servers.stop()
  }
  writeResults('freshness', { ratePerSecond: Number(values.rate), runs })
}

async function measure(servers: BenchServers, api: string): Promise<Run> {
  const brokers = servers.brokers.split(',')
  const producer = createProducer({
    brokers,
    topic: TOPIC,
    logger: createLogger('bench', 'silent'),
  })
  await producer.start()
  const fetches = await followFetches(brokers, TOPIC)
  try {
    const probes = await sendOpenLoop(producer, api, fetches)
    return {
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

/**
 * Events are due at fixed times, whatever became of those before. A late start of one is part of
 * its latency, so that a standstill is seen by all events that it held up.
 */
async function sendOpenLoop(
  producer: Producer,
  api: string,
  fetches: FetchTimes,
): Promise<Probe[]> {
  const rate = Number(values.rate)
  const total = rate * (Number(values.seconds) + WARM_UP_S)
  const random = createRandom(Date.now())
  const run = randomUUID().slice(0, 8)
  const probes: Promise<Probe>[] = []
  const startMs = performance.now() + TICK_MS
  let failure: unknown
  for (let sent = 0; sent < total;) {
    const due = Math.min(Math.floor(((performance.now() - startMs) / 1000) * rate), total)
    for (; sent < due; sent++) {
      const dueMs = startMs + (sent / rate) * 1000
      const key = keyName(LOADS.cubed.pick(random() * UNIT))
      const event = { id: `${run}-${sent}`, counter: COUNTER, key, delta: 1, at: Date.now() }
      const added = producer.add(event)
      if (sent % PROBE_EVERY === 0 && sent >= rate * WARM_UP_S) {
        probes.push(follow(added, key, dueMs, api, fetches))
      } else added.catch((error: unknown) => (failure ??= error))
    }
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
  // The answer waits until it counts the event.
  const url = `${api}/v1/counters/${COUNTER}/keys/${key}?after=${receipt.position}`
  const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_MS_MAX) })
  const body = await response.text()
  if (!response.ok) throw new Error(`${response.status}: ${body}`)
  const visible = performance.now() - dueMs
  const fetchedMs = await fetches.timeOf(receipt.partition, receipt.offset)
  return { visible, acknowledged, fetched: fetchedMs - dueMs }
}

function summary(times: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = times.toSorted((a, b) => a - b)
  const [p50, p99, max] = [0.5, 0.99, 1].map((q) => Number(quantile(sorted, q).toFixed(1)))
  return { p50: p50 ?? Number.NaN, p99: p99 ?? Number.NaN, max: max ?? Number.NaN }
}

function report(number: number, run: Run): void {
  const words = (name: keyof Run): string => {
    const { p50, p99, max } = run[name]
    return `${name} p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`
  }
  console.log(`run ${number}: ${words('visible')}; ${words('fetched')}; ${words('acknowledged')}`)
}

await main()
