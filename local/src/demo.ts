import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import {
  createProducer,
  NotDeliveredError,
  type EventInput,
  type Producer,
} from '@countersink/producer'
import { messageOf } from '@countersink/shared/errors'
import { createLogger } from '@countersink/shared/log'
import { z } from 'zod'
import { createDemoTraffic } from './demo-traffic.ts'
import { PROJECT_ROOT } from './paths.ts'
import { secondsSince } from './report.ts'

/** The files changed by the last commits to Apache Kafka of the data set, June to October 2024. */
const SAMPLE = join(PROJECT_ROOT, 'local', 'data', 'kafka-file-changes-sample.ndjson.gz')
export const DEMO_CONTRACTS = join(PROJECT_ROOT, 'local', 'data', 'demo-counters.yaml')

const EVENTS_PER_SECOND = 40
const TICK_MS = 250
const EVENTS_PER_TICK = (EVENTS_PER_SECOND * TICK_MS) / 1000
const SUMMARY_INTERVAL_MS = 60_000
/** Events on their way at once; with the broker away for longer no new ones are made. */
const OUTSTANDING_EVENTS_MAX = 5000
const STOP_MS_MAX = 2000

export type Demo = { start: () => Promise<void>; stop: () => Promise<void> }

const sampleLine = z.object({
  id: z.string(),
  counter: z.string(),
  key: z.string(),
  delta: z.number(),
  at: z.number(),
  dims: z.record(z.string(), z.string()),
})

/** Publishes the sample, then sends live traffic until it is stopped. `localEnv` as in the file. */
export function createDemo(
  localEnv: Readonly<Record<string, string>>,
  say: (line: string) => void,
): Demo {
  const producer = createProducer({
    brokers: (localEnv['KAFKA_BROKERS'] ?? '').split(','),
    topic: localEnv['COUNTERSINK_TOPIC'] ?? '',
    clientId: 'countersink-demo',
    stopTimeoutMs: STOP_MS_MAX,
    logger: createLogger('demo', 'silent'),
  })
  const stopping = new AbortController()
  const { signal } = stopping
  const delivery = createDelivery(producer, signal, say)
  let traffic: Promise<void> | undefined

  async function start(): Promise<void> {
    await producer.start()
    const begun = Date.now()
    const published = await publishSample()
    say(`Published ${published} file changes of Apache Kafka in ${secondsSince(begun)}; each start`)
    say(`of the demo publishes them again, and by their ids they count once.`)
    say(
      `Live: ${EVENTS_PER_SECOND} video views and likes a second, every tenth of them sent twice.`,
    )
    traffic = sendTraffic()
  }

  async function publishSample(): Promise<number> {
    const lines = createInterface({ input: createReadStream(SAMPLE).pipe(createGunzip()) })
    const deliveries: Promise<void>[] = []
    for await (const line of lines) {
      signal.throwIfAborted()
      await producer.room()
      deliveries.push(delivery.send(sampleLine.parse(JSON.parse(line))))
    }
    await Promise.all(deliveries)
    return deliveries.length
  }

  async function sendTraffic(): Promise<void> {
    const { next } = createDemoTraffic(Math.random, randomBytes(4).toString('hex'))
    const sent = { events: 0, retries: 0 }
    let summaryAt = Date.now() + SUMMARY_INTERVAL_MS
    while (!signal.aborted) {
      const room = OUTSTANDING_EVENTS_MAX - delivery.outstanding()
      for (let i = 0; i < Math.min(EVENTS_PER_TICK, room); i += 1) {
        const { event, isRetry } = next(Date.now())
        sent.events += 1
        if (isRetry) sent.retries += 1
        void delivery.send(event)
      }
      if (Date.now() > summaryAt) {
        say(`${sent.events} live events sent, ${sent.retries} of them retries that do not count`)
        summaryAt = Date.now() + SUMMARY_INTERVAL_MS
      }
      await delay(TICK_MS, undefined, { signal }).catch(() => {})
    }
  }

  async function stop(): Promise<void> {
    stopping.abort()
    await traffic
    await producer.stop()
  }

  return { start, stop }
}

type Delivery = { send: (event: EventInput) => Promise<void>; outstanding: () => number }

function createDelivery(
  producer: Producer,
  signal: AbortSignal,
  say: (line: string) => void,
): Delivery {
  let outstanding = 0

  /** Until it is acknowledged: an event with its id and time can be sent any number of times. */
  async function send(event: EventInput): Promise<void> {
    outstanding += 1
    try {
      for (let delivered = false; !delivered && !signal.aborted;) {
        delivered = await producer.add(event).then(() => true, isRefused)
      }
    } finally {
      outstanding -= 1
    }
  }

  /** True when sending again would not help. */
  function isRefused(error: unknown): boolean {
    if (error instanceof NotDeliveredError) return false
    if (!signal.aborted) say(`an event of the demo was refused: ${messageOf(error)}`)
    return true
  }

  return { send, outstanding: () => outstanding }
}
