import {
  CLOUD_EVENT_BATCH_CONTENT_TYPE,
  CLOUD_EVENT_CONTENT_TYPE,
} from '@countersink/shared/cloud-events'
import { isObject } from '@countersink/shared/event'
import { type BodyOptions, jsonOf, mediaTypeOf, readBody } from '@countersink/shared/http/body'
import type { Problem } from '@countersink/shared/http/problem'
import type { FastifyRequest } from 'fastify'
import { binaryCloudEvent, isBinaryCloudEvent } from './binary-cloud-event.ts'

/** One element of a request: still anything that JSON can say. `cloud` ones must be CloudEvents. */
export type Ingest =
  | { ok: true; items: readonly unknown[]; cloud: boolean; release: () => void }
  | { ok: false; problem: Problem }

type Items = { ok: true; items: readonly unknown[] } | { ok: false; problem: Problem }

const JSON_CONTENT_TYPE = 'application/json'
const STRUCTURED = [
  JSON_CONTENT_TYPE,
  CLOUD_EVENT_CONTENT_TYPE,
  CLOUD_EVENT_BATCH_CONTENT_TYPE,
] as const

/** Reads the events of a request, in each of the four ways in which they can be sent. */
export async function readIngest(
  request: FastifyRequest,
  options: BodyOptions & { eventsMax: number },
): Promise<Ingest> {
  const mediaType = mediaTypeOf(request)
  const structured = STRUCTURED.find((known) => known === mediaType)
  const binary =
    isBinaryCloudEvent(request.raw) && (structured ?? JSON_CONTENT_TYPE) === JSON_CONTENT_TYPE
  if (structured === undefined && !binary) {
    const detail = `the content type must be one of ${STRUCTURED.join(', ')}`
    return { ok: false, problem: { status: 415, code: 'unsupported-content-type', detail } }
  }
  const body = await readBody(request, options)
  if (!body.ok) return body
  const read = binary
    ? readBinary(request, mediaType, body.bytes)
    : readStructured(body.bytes, structured, options.eventsMax)
  if (read.ok) {
    return { ...read, cloud: structured !== JSON_CONTENT_TYPE || binary, release: body.release }
  }
  body.release()
  return read
}

function readBinary(request: FastifyRequest, mediaType: string | undefined, bytes: Buffer): Items {
  const read = binaryCloudEvent(request.raw, mediaType, bytes)
  return read.ok ? { ok: true, items: [read.event] } : refuse(400, read.code, read.detail)
}

function readStructured(
  bytes: Buffer,
  mediaType: (typeof STRUCTURED)[number] | undefined,
  eventsMax: number,
): Items {
  const json = jsonOf(bytes)
  if (!json.ok) return json
  const { value } = json
  if (Array.isArray(value)) {
    if (mediaType === CLOUD_EVENT_CONTENT_TYPE) {
      return refuse(
        400,
        'not-an-object',
        `a list must be sent as ${CLOUD_EVENT_BATCH_CONTENT_TYPE}`,
      )
    }
    if (value.length === 0) return refuse(400, 'no-events', 'the list has no events')
    if (value.length > eventsMax) {
      return refuse(413, 'too-many-events', `the list has more than ${eventsMax} events`)
    }
    return { ok: true, items: value }
  }
  if (mediaType === CLOUD_EVENT_BATCH_CONTENT_TYPE) {
    return refuse(400, 'not-a-list', 'a batch of CloudEvents must be a list')
  }
  if (isObject(value)) return { ok: true, items: [value] }
  return refuse(400, 'not-an-object', 'the body must be an event or a list of events')
}

function refuse(status: number, code: string, detail: string): { ok: false; problem: Problem } {
  return { ok: false, problem: { status, code, detail } }
}
