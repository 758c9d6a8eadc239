import { messageOf } from '@countersink/shared/errors'
import { createKafkaAdmin } from '@countersink/shared/kafka/admin'
import type { Logger } from '@countersink/shared/log'

const PROBE_INTERVAL_MS = 2_000
const CALL_TIMEOUT_MS = 2_000
/** Without an answer for this long the brokers count as out of reach. */
const SILENCE_MS_MAX = 6_000

/** Asks Kafka for the topic again and again, so that readiness is true also when nothing is sent. */
export type KafkaProbe = {
  start: () => void
  stop: () => Promise<void>
  /** `ok`, or what is wrong. */
  state: () => string
}

export function createKafkaProbe(options: {
  brokers: readonly string[]
  topic: string
  logger: Logger
}): KafkaProbe {
  const { topic } = options
  const admin = createKafkaAdmin({
    ...options,
    clientId: 'countersink-gateway-probe',
    callTimeoutMs: CALL_TIMEOUT_MS,
  })
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let answeredAtMs = Number.NEGATIVE_INFINITY
  let problem = 'no broker has answered yet'

  async function probe(): Promise<void> {
    try {
      const there = await admin.topicExists(topic)
      problem = there ? 'ok' : `the topic ${topic} does not exist`
      answeredAtMs = performance.now()
    } catch (error) {
      problem = messageOf(error)
    }
    if (!stopped) timer = setTimeout(() => void probe(), PROBE_INTERVAL_MS)
  }

  return {
    start() {
      if (timer === undefined && !stopped) void probe()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await admin.stop()
    },
    state() {
      const silentMs = performance.now() - answeredAtMs
      if (problem === 'ok' && silentMs > SILENCE_MS_MAX) return 'no broker answers'
      return problem
    },
  }
}
