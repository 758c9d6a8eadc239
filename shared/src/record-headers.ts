import type { RecordCursor } from './kafka/record-batch.ts'

/** Whoever sends more headers than this has made a mistake, and each of them costs time. */
export const HEADERS_MAX = 64
const NAME_BYTES_MAX = 64
const VALUE_BYTES_MAX = 4096

/** The headers that say how a value is to be read; their names are exact, as Kafka's are. */
const NAMES = [
  'content-type',
  'ce_specversion',
  'ce_id',
  'ce_source',
  'ce_type',
  'ce_subject',
  'ce_time',
] as const

type HeaderName = (typeof NAMES)[number]

export type RecordHeaders = ReadonlyMap<HeaderName, string>

export const NO_HEADERS: RecordHeaders = new Map()

const KNOWN: ReadonlySet<string> = new Set(NAMES)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isKnown(name: string): name is HeaderName {
  return KNOWN.has(name)
}

/**
 * The headers of the cursor's record that matter here, null ones as if absent. Undefined when they
 * cannot be trusted: there are too many, one of those that matter is repeated (Kafka lets
 * the last one win, others the first: an event must not depend on who reads it), is over-long or is no UTF-8.
 * Headers of other names may be repeated and hold anything.
 */
export function readHeaders(record: RecordCursor): RecordHeaders | undefined {
  if (record.headerCount > HEADERS_MAX) return undefined
  const headers = new Map<HeaderName, string>()
  const seen = new Set<HeaderName>()
  record.rewindHeaders()
  while (record.nextHeader()) {
    const { headerNameStart, headerNameEnd, headerValueStart, headerValueEnd } = record
    if (headerNameEnd - headerNameStart > NAME_BYTES_MAX) continue
    const name = record.records.toString('latin1', headerNameStart, headerNameEnd)
    if (!isKnown(name)) continue
    if (seen.has(name) || headerValueEnd - headerValueStart > VALUE_BYTES_MAX) return undefined
    seen.add(name)
    if (headerValueStart < 0) continue
    try {
      headers.set(name, utf8.decode(record.records.subarray(headerValueStart, headerValueEnd)))
    } catch {
      return undefined
    }
  }
  return headers
}
