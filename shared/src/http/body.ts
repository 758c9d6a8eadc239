import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import { parseJson } from '../event.ts'
import { REASON_DETAILS } from '../reasons.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { HttpLimits } from './limits.ts'
import type { Problem } from './problem.ts'

export type BodyOptions = {
  limits: HttpLimits
  /** Shared by all requests of a server: what they may hold in memory together. */
  budget: ByteBudget
}

/** `release` gives the bytes back to the budget: call it once the request is answered. */
export type Body =
  { ok: true; bytes: Buffer; release: () => void } | { ok: false; problem: Problem }

const RETRY_AFTER_S = 1

/**
 * Reads a body within every bound: its size as sent and inflated, the bytes of all requests in
 * flight, and its time. What is wrong is a problem, never an exception. A body that is refused is
 * not closed on: the rest is thrown away by Node, so that the sender gets to read the answer.
 */
export async function readBody(request: FastifyRequest, options: BodyOptions): Promise<Body> {
  const { limits, budget } = options
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') {
    const detail = 'the content encoding must be gzip or identity'
    return refuse({ status: 415, code: 'unsupported-encoding', detail })
  }
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > limits.bodyBytesMax) return refuse(tooLarge(limits.bodyBytesMax))
  const gzip = encoding === 'gzip'
  const bytesMax = gzip ? limits.inflatedBytesMax : limits.bodyBytesMax
  const lease = budget.lease()
  // What a body says of its length is taken at once: half-read bodies would only starve each other.
  const known = gzip ? 0 : declared
  if (!lease.take(known)) return refuse(overloaded())
  const take = known > 0 ? () => true : lease.take
  const result = await collect(request.raw, gzip, { limits, bytesMax, take })
  if (result.ok) return { ok: true, bytes: result.bytes, release: lease.release }
  lease.release()
  return result
}

type CollectOptions = { limits: HttpLimits; bytesMax: number; take: (bytes: number) => boolean }
type Collected = { ok: true; bytes: Buffer } | { ok: false; problem: Problem }

function collect(raw: IncomingMessage, gzip: boolean, options: CollectOptions): Promise<Collected> {
  const { limits, bytesMax, take } = options
  const inflater = gzip ? createGunzip() : undefined
  const source = inflater ?? raw
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let sent = 0
    let length = 0
    const timer = setTimeout(() => {
      const detail = `the body did not arrive within ${limits.bodyTimeoutMs / 1000} s`
      const headers = { connection: 'close' }
      finish(refuse({ status: 408, code: 'body-timeout', detail, headers }))
    }, limits.bodyTimeoutMs)

    function finish(result: Collected): void {
      clearTimeout(timer)
      raw.off('data', onSent).off('error', onBroken).off('close', onBroken)
      source.off('data', onChunk).off('end', onEnd)
      if (inflater !== undefined) {
        raw.unpipe(inflater)
        inflater.destroy()
      }
      raw.resume()
      resolve(result)
    }
    function onSent(chunk: Buffer): void {
      sent += chunk.length
      if (sent > limits.bodyBytesMax) finish(refuse(tooLarge(limits.bodyBytesMax)))
    }
    function onChunk(chunk: Buffer): void {
      length += chunk.length
      if (length > bytesMax) return finish(refuse(tooLarge(bytesMax)))
      if (!take(chunk.length)) return finish(refuse(overloaded()))
      chunks.push(chunk)
    }
    function onEnd(): void {
      finish({ ok: true, bytes: Buffer.concat(chunks, length) })
    }
    function onBroken(): void {
      // Node also closes a request that came whole, while zlib may still be inflating it.
      if (raw.complete) return
      const detail = 'the body broke off'
      finish(refuse({ status: 400, code: 'body-incomplete', detail }))
    }

    raw.on('data', onSent).on('error', onBroken).on('close', onBroken)
    source.on('data', onChunk).on('end', onEnd)
    if (inflater !== undefined) {
      // This listener stays, for what zlib may still report after finish() has destroyed it.
      inflater.on('error', () => {
        finish(refuse({ status: 400, code: 'bad-gzip', detail: 'the body is not valid gzip' }))
      })
      raw.pipe(inflater)
    }
  })
}

function refuse(problem: Problem): { ok: false; problem: Problem } {
  return { ok: false, problem }
}

function tooLarge(bytesMax: number): Problem {
  const detail = `the body is larger than ${bytesMax} bytes`
  return { status: 413, code: 'body-too-large', detail }
}

function overloaded(): Problem {
  const detail = 'too many bytes of other requests are being handled'
  return { status: 503, code: 'overloaded', detail, retryAfterS: RETRY_AFTER_S }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export type Json = { ok: true; value: unknown } | { ok: false; problem: Problem }

/** The JSON of a body, with numbers exact or NaN (see parseJson). */
export function jsonOf(bytes: Uint8Array): Json {
  if (bytes.length === 0) {
    return refuse({ status: 400, code: 'empty-body', detail: 'the request has no body' })
  }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return refuse({ status: 400, code: 'not-utf8', detail: 'the body is not valid UTF-8' })
  }
  const parsed = parseJson(text)
  if (parsed.ok) return parsed
  const detail = REASON_DETAILS[parsed.reason].replace('the value', 'the body')
  return refuse({ status: 400, code: parsed.reason, detail })
}

/** The media type of a request in lower case, without its parameters. */
export function mediaTypeOf(request: FastifyRequest): string | undefined {
  return request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
}

/** Reads a request whose body must be application/json. The bytes leave the budget at once. */
export async function readJson(request: FastifyRequest, options: BodyOptions): Promise<Json> {
  if (mediaTypeOf(request) !== 'application/json') {
    const detail = 'the content type must be application/json'
    return refuse({ status: 415, code: 'unsupported-content-type', detail })
  }
  const body = await readBody(request, options)
  if (!body.ok) return body
  try {
    return jsonOf(body.bytes)
  } finally {
    body.release()
  }
}
