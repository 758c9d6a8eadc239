import type { IncomingMessage } from 'node:http'
import { jsonOf } from '@countersink/shared/http/body'

const ATTRIBUTES = ['specversion', 'id', 'source', 'type', 'subject', 'time'] as const
const PREFIX = 'ce-'
const PRINTABLE = /^[\x20-\x7e]*$/
const QUOTED = /^"((?:[^"\\]|\\.)*)"$/

export type BinaryCloudEvent =
  { ok: true; event: Record<string, unknown> } | { ok: false; code: string; detail: string }

/** Whether a request carries one CloudEvent in its headers, with the data as its body. */
export function isBinaryCloudEvent(message: IncomingMessage): boolean {
  return message.headers['ce-specversion'] !== undefined
}

/**
 * The event of a request in CloudEvents' binary mode, in the shape of the structured one. Values
 * of headers are quoted and percent-encoded as the HTTP binding says; an attribute that is given
 * twice could be read in two ways, so it is refused.
 */
export function binaryCloudEvent(
  message: IncomingMessage,
  mediaType: string | undefined,
  body: Buffer,
): BinaryCloudEvent {
  const event: Record<string, unknown> = {}
  const names = message.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
  for (const attribute of ATTRIBUTES) {
    const name = PREFIX + attribute
    const times = names.filter((given) => given === name).length
    if (times > 1) return bad(`the header ${name} is given ${times} times`)
    const raw = message.headers[name]
    if (typeof raw !== 'string') continue
    const value = decodeHeader(raw)
    if (value === undefined) return bad(`the header ${name} is badly encoded`)
    event[attribute] = value
  }
  if (body.length === 0) return { ok: true, event }
  if (mediaType !== 'application/json') {
    return bad('the data of a binary CloudEvent must be application/json')
  }
  const data = jsonOf(body)
  if (!data.ok) return { ok: false, code: data.problem.code, detail: data.problem.detail }
  event['data'] = data.value
  return { ok: true, event }
}

function bad(detail: string): BinaryCloudEvent {
  return { ok: false, code: 'bad-cloud-event', detail }
}

function decodeHeader(raw: string): string | undefined {
  if (!PRINTABLE.test(raw)) return undefined
  const quoted = QUOTED.exec(raw)?.[1]
  try {
    return decodeURIComponent(quoted === undefined ? raw : quoted.replaceAll(/\\(.)/g, '$1'))
  } catch {
    return undefined
  }
}
