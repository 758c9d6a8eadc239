import {
  CLOUD_EVENT_CONTENT_TYPE,
  CLOUD_EVENT_SPEC_VERSION,
  fromCloudEvent,
} from '@countersink/shared/cloud-events'
import {
  type CountEvent,
  LIMITS,
  type Parsed,
  checkEvent,
  isObject,
  parseEventBytes,
  parseEventValue,
  parseJson,
} from '@countersink/shared/event'
import type { RecordCursor } from '@countersink/shared/kafka/record-batch'
import type { InvalidReason } from '@countersink/shared/reasons'
import type { Fields } from './fields.ts'
import { JsonScanner } from './json-scanner.ts'
import { type HeaderName, readHeaders } from './record-headers.ts'

const JSON_CONTENT_TYPE = 'application/json'
/** The strings of the largest valid event. */
const SCRATCH_BYTES =
  LIMITS.idBytesMax +
  LIMITS.counterBytesMax +
  LIMITS.keyBytesMax +
  LIMITS.dimsMax * (LIMITS.dimNameBytesMax + LIMITS.dimValueBytesMax)

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

type Headers = ReadonlyMap<HeaderName, string>

/**
 * Decodes one Kafka record after the other into the same fields: by the scanner where a record has
 * no headers and a plain value, else by the slow path, which knows everything. Both fill the fields
 * alike; fuzzing holds them to it.
 *
 * | headers | value |
 * |---|---|
 * | none, or content-type application/json | a native event, or a CloudEvent if it has `specversion` |
 * | content-type application/cloudevents+json | a structured CloudEvent |
 * | ce_specversion, with no content-type or application/json | `{delta, dims}`, or nothing |
 * | another content-type | not read |
 */
export class RecordDecoder {
  readonly fields: Fields
  readonly #scanner = new JsonScanner()
  /** Where the slow path puts its strings, for the fields to point at. */
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES)

  constructor(fields: Fields) {
    this.fields = fields
  }

  /** Reads the cursor's record into `fields`; the reason when it holds no valid event. */
  decode(record: RecordCursor): InvalidReason | undefined {
    const { records, valueStart, valueEnd } = record
    if (record.headerCount === 0 && valueStart >= 0) {
      if (this.#scanner.scan(records, valueStart, valueEnd, this.fields)) return undefined
    }
    return this.#decodeSlowly(record)
  }

  #decodeSlowly(record: RecordCursor): InvalidReason | undefined {
    const { records, valueStart, valueEnd, headerCount } = record
    if (valueEnd - valueStart > LIMITS.valueBytesMax) return 'too-large'
    const value = valueStart < 0 ? undefined : records.subarray(valueStart, valueEnd)
    const headers = headerCount === 0 ? NO_HEADERS : readHeaders(record)
    if (headers === undefined) return 'bad-record'
    const parsed = parseRecord(headers, value)
    if (!parsed.ok) return parsed.reason
    this.#keep(parsed.event)
    return undefined
  }

  /** Puts an event that the slow path has read into the fields. */
  #keep(event: CountEvent): void {
    const { fields } = this
    fields.bytes = this.#scratch
    fields.delta = event.delta
    fields.at = event.at
    let position = 0
    fields.idStart = position
    fields.idEnd = position = this.#write(event.id, position)
    fields.counterStart = position
    fields.counterEnd = position = this.#write(event.counter, position)
    fields.keyStart = position
    fields.keyEnd = position = this.#write(event.key, position)
    let count = 0
    for (const [name, value] of event.dims ?? []) {
      const valueStart = this.#write(name, position)
      fields.dims[count * 4] = position
      fields.dims[count * 4 + 1] = valueStart
      fields.dims[count * 4 + 2] = valueStart
      fields.dims[count * 4 + 3] = position = this.#write(value, valueStart)
      count++
    }
    fields.dimCount = count
  }

  /** An event's limits are checked when it is parsed, so that its strings always fit. */
  #write(text: string, position: number): number {
    return position + this.#scratch.write(text, position, 'utf8')
  }
}

const NO_HEADERS: Headers = new Map()

function parseRecord(headers: Headers, value: Uint8Array | undefined): Parsed {
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
function parseBinary(headers: Headers, value: Uint8Array | undefined): Parsed {
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
