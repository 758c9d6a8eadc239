import { connect } from 'node:net'
import { z } from 'zod'
import { LOOPBACK } from './ports.ts'

const PROBE_MS_MAX = 2000

/**
 * Connects, sends `request` and tells whether `accept` likes the first bytes of the answer.
 * False on any error and after two seconds.
 */
async function answers(
  port: number,
  request: Buffer,
  accept: (answer: Buffer) => boolean,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ port, host: LOOPBACK })
  socket.setTimeout(PROBE_MS_MAX, () => resolve(false))
  socket.once('error', () => resolve(false))
  socket.once('close', () => resolve(false))
  socket.once('connect', () => socket.write(request))
  socket.once('data', (answer) => resolve(accept(answer)))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

const API_VERSIONS_KEY = 18
const CORRELATION_ID = 7

/**
 * Kafka: asks for its API versions, the first thing that every client asks.
 *   request  = size:int32 key:int16 version:int16 correlationId:int32 clientId:nullable_string
 *   response = size:int32 correlationId:int32 errorCode:int16 …
 * The broker opens its port for requests only when it has caught up with its metadata.
 */
export async function kafkaAnswers(port: number): Promise<boolean> {
  const request = Buffer.alloc(14)
  request.writeInt32BE(10, 0)
  request.writeInt16BE(API_VERSIONS_KEY, 4)
  request.writeInt16BE(0, 6)
  request.writeInt32BE(CORRELATION_ID, 8)
  request.writeInt16BE(-1, 12)
  return answers(port, request, (answer) => {
    return answer.length >= 10 && answer.readInt32BE(4) === CORRELATION_ID && !answer.readInt16BE(8)
  })
}

/** Redis: PING, which also says when it is still loading. */
export async function redisAnswers(port: number): Promise<boolean> {
  return answers(
    port,
    Buffer.from('PING\r\n'),
    (answer) => answer.toString('latin1') === '+PONG\r\n',
  )
}

/** A service: `path` answers 200. */
export async function httpAnswers(port: number, path: string): Promise<boolean> {
  return (await get(port, path))?.ok ?? false
}

const OK = 'ok'
const problem = z.object({ checks: z.record(z.string(), z.string()) })

/**
 * A service is ready, or would be but for halted partitions: those wait for an operator, who needs
 * the rest of the stack to look at them.
 */
export async function serviceIsReady(port: number): Promise<boolean> {
  const answer = await get(port, '/readyz')
  if (answer === undefined || answer.ok) return answer?.ok ?? false
  const { data } = problem.safeParse(answer.body)
  if (data === undefined) return false
  const { halted = OK, ...others } = data.checks
  return halted !== OK && Object.values(others).every((check) => check === OK)
}

async function get(
  port: number,
  path: string,
): Promise<{ ok: boolean; body: unknown } | undefined> {
  try {
    const response = await fetch(`http://${LOOPBACK}:${port}${path}`, {
      signal: AbortSignal.timeout(PROBE_MS_MAX),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') ?? false
    return { ok: response.status === 200, body: isJson ? JSON.parse(text) : undefined }
  } catch {
    return undefined
  }
}
