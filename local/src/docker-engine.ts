import { request } from 'node:http'

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_SOCKET = '/var/run/docker.sock'
const PING_MS_MAX = 2000
const DEFAULT_TCP_PORT = 2375

type Engine = { socketPath: string } | { host: string; port: number }

/**
 * Where the engine listens, by DOCKER_HOST or its default. Undefined for ways that need a client
 * of their own (ssh, TLS): whoever has set those up can set KAFKA_BROKERS and DATABASE_URL too.
 */
export function engineAddress(environment: Environment): Engine | undefined {
  const host = environment['DOCKER_HOST'] || `unix://${DEFAULT_SOCKET}`
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) }
  if (!host.startsWith('tcp://') || environment['DOCKER_TLS_VERIFY']) return undefined
  const url = new URL(host.replace('tcp://', 'http://'))
  return { host: url.hostname, port: Number(url.port || DEFAULT_TCP_PORT) }
}

/** Asks the engine itself: a client on the PATH says nothing about an engine behind it. */
export async function dockerEngineAnswers(environment: Environment): Promise<boolean> {
  const address = engineAddress(environment)
  if (!address) return false
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const ping = request({ ...address, path: '/_ping', timeout: PING_MS_MAX }, (response) => {
    response.resume()
    resolve(response.statusCode === 200)
  })
  ping.once('timeout', () => ping.destroy())
  ping.once('error', () => resolve(false))
  ping.once('close', () => resolve(false))
  ping.end()
  return promise
}
