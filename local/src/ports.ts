import { createServer } from 'node:net'
import { CountersinkError } from '@countersink/shared/errors'

export const LOOPBACK = '127.0.0.1'
export const PORT_BASE_DEFAULT = 24_000
/** Aggregator metrics begin at base + 10; more than these would run into a neighbour's base. */
export const AGGREGATORS_MAX = 32
export const PORT_BASE_MAX = 65_535 - 10 - AGGREGATORS_MAX

export type Ports = {
  kafka: number
  kafkaController: number
  postgres: number
  redis: number
  queryApi: number
  gateway: number
  aggregators: number[]
}

/** The layout from one base, so that a second stack needs one number only. */
export function portLayout(base: number, aggregatorCount: number): Ports {
  return {
    kafka: base,
    kafkaController: base + 1,
    postgres: base + 2,
    redis: base + 3,
    queryApi: base + 4,
    gateway: base + 5,
    aggregators: Array.from({ length: aggregatorCount }, (_, index) => base + 10 + index),
  }
}

export function aggregatorName(index: number): string {
  return index === 0 ? 'aggregator' : `aggregator-${index + 1}`
}

/** Throws PORT_IN_USE that names every port that is taken, and says how to choose others. */
export async function assertPortsFree(
  wanted: readonly (readonly [string, number])[],
): Promise<void> {
  const checked = await Promise.all(
    wanted.map(async ([name, port]) => ({ name, port, free: await isPortFree(port) })),
  )
  const taken = checked.filter((entry) => !entry.free)
  if (taken.length === 0) return
  const list = taken.map((entry) => `${entry.port} (for ${entry.name})`).join(', ')
  const message =
    `already in use on ${LOOPBACK}: port ${list}. Choose others, for example: ` +
    `npm start -- --port-base ${suggestedBase(taken[0]?.port ?? PORT_BASE_DEFAULT)}`
  throw new CountersinkError('PORT_IN_USE', message)
}

function suggestedBase(taken: number): number {
  const next = Math.ceil((taken + 1) / 100) * 100 + 100
  return next > PORT_BASE_MAX ? PORT_BASE_DEFAULT : next
}

export async function isPortFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
    server.close(() => resolve(true))
  })
  return promise
}

/** A port that was free a moment ago, for servers that live shortly. */
export async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = createServer()
  server.once('error', reject)
  server.listen({ port: 0, host: LOOPBACK }, () => {
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    server.close(() => resolve(port))
  })
  return promise
}
