import { createGateway, type Gateway } from '@countersink/producer/gateway'
import { parseGatewayConfig } from '@countersink/producer/gateway-config'
import { createLogger } from '@countersink/shared/log'
import { parsePosition } from '@countersink/shared/position'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { waitFor } from './stack.ts'

type Answer = {
  status: number
  headers: Headers
  body: Record<string, unknown> & { results?: Result[] }
}

export type Result = Record<string, unknown> & { id: string | null; status: string }

/** A gateway in this process, on a topic of its own. */
export type GatewayBed = {
  kafka: KafkaBed
  gateway: Gateway
  url: string
  /** Posts JSON, or text as it is. */
  post: (body: unknown, headers?: Record<string, string>) => Promise<Answer>
  ask: (path: string, init?: RequestInit) => Promise<Answer>
  /** The value of the record that a position of one event points behind. */
  recordAt: (position: unknown) => Promise<Record<string, unknown>>
  stop: () => Promise<void>
}

export async function createGatewayBed(
  brokers: string,
  env: Record<string, string> = {},
): Promise<GatewayBed> {
  const kafka = await createKafkaBed(brokers, { partitions: 3 })
  const config = parseGatewayConfig({
    KAFKA_BROKERS: brokers,
    COUNTERSINK_TOPIC: kafka.topic,
    PORT: '0',
    // So that a test reads what is in the topic as it stands there.
    EVENT_FORMAT: 'json',
    ...env,
  })
  const gateway = createGateway(config, createLogger('gateway', 'fatal'))
  const url = `http://127.0.0.1:${(await gateway.start()).port}`
  const consumer = kafka.consumer()
  await consumer.start()
  await waitFor(async () => (await ask('/readyz')).status === 200, { what: 'the gateway' })

  async function ask(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(url + path, init)
    const text = await response.text()
    const body = (text.startsWith('{') ? JSON.parse(text) : { text }) as Answer['body']
    return { status: response.status, headers: response.headers, body }
  }

  return {
    kafka,
    gateway,
    url,
    ask,
    post(body, headers = {}) {
      const isRaw = typeof body === 'string' || body instanceof Uint8Array
      return ask('/v1/events', {
        method: 'POST',
        body: isRaw ? (body as string) : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      })
    },
    async recordAt(position) {
      const [place] = [...parsePosition(String(position)).next]
      if (place === undefined) throw new Error('the position names no partition')
      const [partition, next] = place
      const record = await waitFor(
        () => consumer.records.find((r) => r.partition === partition && r.offset === next - 1),
        { what: `record ${next - 1} of partition ${partition}` },
      )
      return JSON.parse(record?.value ?? 'null') as Record<string, unknown>
    },
    async stop() {
      await gateway.stop()
      await kafka.stop()
    },
  }
}
