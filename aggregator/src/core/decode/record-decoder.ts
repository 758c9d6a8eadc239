import { type CountEvent, LIMITS } from '@countersink/shared/event'
import type { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { PACKED_CONTENT_TYPE } from '@countersink/shared/packed/packed-format'
import type { InvalidReason } from '@countersink/shared/reasons'
import { NO_HEADERS, readHeaders } from '@countersink/shared/record-headers'
import { isPacked, parseRecord } from '@countersink/shared/record-parser'
import type { Fields } from './fields.ts'
import { JsonScanner } from './json-scanner.ts'

/** The strings of the largest valid event. */
const SCRATCH_BYTES =
  LIMITS.idBytesMax +
  LIMITS.counterBytesMax +
  LIMITS.keyBytesMax +
  LIMITS.dimsMax * (LIMITS.dimNameBytesMax + LIMITS.dimValueBytesMax)

const CONTENT_TYPE_NAME = Buffer.from('content-type')
const PACKED_TYPE = Buffer.from(PACKED_CONTENT_TYPE)

/**
 * True for a record that holds many events, which PackedDecoder reads. What our SDK writes, one
 * header spelled as the format spells it, is recognised by its bytes; other spellings as headers are
 * read everywhere. No spelling is shorter, so that the types of JSON need no reading here.
 */
export function isPackedRecord(record: RecordCursor): boolean {
  if (record.headerCount === 0 || !record.findHeader(CONTENT_TYPE_NAME)) return false
  const { records, headerValueStart, headerValueEnd, headerCount } = record
  const length = headerValueEnd - headerValueStart
  if (length < PACKED_TYPE.length) return false
  if (headerCount === 1 && length === PACKED_TYPE.length) {
    const value = records.subarray(headerValueStart, headerValueEnd)
    if (PACKED_TYPE.equals(value)) return true
  }
  const headers = readHeaders(record)
  return headers !== undefined && isPacked(headers)
}

/**
 * Decodes one Kafka record after the other into the same fields: by the scanner where a record has
 * no headers and a plain value, else by the slow path, which knows everything. Both fill the fields
 * alike; fuzzing holds them to it.
 */
export class RecordDecoder {
  readonly fields: Fields
  readonly #scanner = new JsonScanner()
  /** Where the slow path puts its strings, for the fields to point at. */
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES)

  constructor(fields: Fields) {
    this.fields = fields
  }

  /** Reads the cursor's record, not a packed one, into `fields`; the reason when it holds no valid event. */
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
