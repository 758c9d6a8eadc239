import {
  CLOUD_EVENT_CONTENT_TYPE,
  CLOUD_EVENT_SPEC_VERSION,
  fromCloudEvent,
} from './cloud-events.ts'
import {
  checkEvent,
  isObject,
  LIMITS,
  type Parsed,
  parseEventBytes,
  parseEventValue,
  parseJson,
} from './event.ts'
import type { RecordCursor } from './kafka/record-batch.ts'
import { PACKED_CONTENT_TYPE } from './packed/packed-format.ts'
import { parsePacked } from './packed/packed-reader.ts'
import { NO_HEADERS, readHeaders, type RecordHeaders } from './record-headers.ts'

const JSON_CONTENT_TYPE = 'application/json'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What the headers say; undefined when they cannot be trusted or the type is not one of ours. */
export type RecordEncoding = 'json' | 'cloud-event' | 'packed' | undefined

/** One event, or of a packed record that can be read as many as it holds. */
export type ParsedRecord = { encoding: RecordEncoding; events: readonly Parsed[] }

/** All that the cursor's record holds, whatever its encoding, as the aggregator counts it; slow. */
export function parseRecordEvents(record: RecordCursor): ParsedRecord {
  const { records, valueStart, valueEnd, headerCount } = record
  const value = valueStart < 0 ? undefined : records.subarray(valueStart, valueEnd)
  const headers = headerCount === 0 ? NO_HEADERS : readHeaders(record)
  const encoding = headers === undefined ? undefined : encodingOf(headers)
  if (encoding === 'packed') return { encoding, events: packedEvents(value) }
  return { encoding, events: [singleEvent(headers, value)] }
}

function packedEvents(value: Uint8Array | undefined): readonly Parsed[] {
  if (value === undefined) return [{ ok: false, reason: 'null-value' }]
  const parsed = parsePacked(value)
  return parsed.ok ? parsed.events : [parsed]
}

function singleEvent(headers: RecordHeaders | undefined, value: Uint8Array | undefined): Parsed {
  if (value !== undefined && value.length > LIMITS.valueBytesMax) {
    return { ok: false, reason: 'too-large' }
  }
  return headers === undefined ? { ok: false, reason: 'bad-record' } : parseRecord(headers, value)
}

function encodingOf(headers: RecordHeaders): RecordEncoding {
  if (isPacked(headers)) return 'packed'
  const contentType = mediaType(headers.get('content-type'))
  if (contentType === CLOUD_EVENT_CONTENT_TYPE) return 'cloud-event'
  if (contentType !== undefined && contentType !== JSON_CONTENT_TYPE) return undefined
  return headers.has('ce_specversion') ? 'cloud-event' : 'json'
}

/** True when the record holds many events in the packed format: parseRecord is not for it. */
export function isPacked(headers: RecordHeaders): boolean {
  return mediaType(headers.get('content-type')) === PACKED_CONTENT_TYPE
}

/**
 * The event of a record that holds one: any bytes give an event or a reason. Packed records hold
 * many and are not for this one.
 *
 * | headers | value |
 * |---|---|
 * | none, or content-type application/json | a native event, or a CloudEvent if it has `specversion` |
 * | content-type application/cloudevents+json | a structured CloudEvent |
 * | ce_specversion, with no content-type or application/json | `{delta, dims}`, or nothing |
 * | another content-type | not read |
 */
export function parseRecord(headers: RecordHeaders, value: Uint8Array | undefined): Parsed {
  const contentType = mediaType(headers.get('content-type'))
  if (contentType === CLOUD_EVENT_CONTENT_TYPE) return parseStructured(value)
  if (contentType !== undefined && contentType !== JSON_CONTENT_TYPE) {
    return { ok: false, reason: 'unsupported-content-type' }
  }
  if (headers.has('ce_specversion')) return parseBinary(headers, value)
  return value === undefined ? { ok: false, reason: 'null-value' } : parseEventBytes(value)
}

/** Without parameters such as charset, which JSON has no use for, and in lower case. */
function mediaType(contentType: string | undefined): string | undefined {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase()
}

/** A CloudEvent that says so in its header must be one: `specversion` is a required attribute. */
function parseStructured(value: Uint8Array | undefined): Parsed {
  if (value === undefined) return { ok: false, reason: 'null-value' }
  if (value.length === 0) return { ok: false, reason: 'empty-value' }
  const parsed = parseJsonBytes(value)
  if (!parsed.ok) return parsed
  if (isObject(parsed.value) && !Object.hasOwn(parsed.value, 'specversion')) {
    return { ok: false, reason: 'bad-cloud-event' }
  }
  return parseEventValue(parsed.value)
}

/** A CloudEvent whose attributes are headers and whose data is the value. */
function parseBinary(headers: RecordHeaders, value: Uint8Array | undefined): Parsed {
  if (headers.get('ce_specversion') !== CLOUD_EVENT_SPEC_VERSION) {
    return { ok: false, reason: 'unknown-version' }
  }
  const data =
    value === undefined || value.length === 0
      ? { ok: true as const, value: undefined }
      : parseJsonBytes(value)
  if (!data.ok) return data
  const mapped = fromCloudEvent({
    id: headers.get('ce_id'),
    source: headers.get('ce_source'),
    type: headers.get('ce_type'),
    subject: headers.get('ce_subject'),
    time: headers.get('ce_time'),
    data: data.value,
  })
  return mapped === undefined ? { ok: false, reason: 'bad-cloud-event' } : checkEvent(mapped)
}

function parseJsonBytes(bytes: Uint8Array): ReturnType<typeof parseJson> {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return { ok: false, reason: 'not-utf8' }
  }
  return parseJson(text)
}
