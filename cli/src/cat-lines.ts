import { type CountEvent, inputOf, type Parsed } from '@countersink/shared/event'
import { REASON_DETAILS } from '@countersink/shared/reasons'
import type { RecordEncoding } from '@countersink/shared/record-parser'
import { printable, printableJsonLine } from './printable.ts'
import type { Terminal } from './terminal.ts'

const GAP = '  '

/** Where an event stands: `index` counts the events of a packed record, and is 0 elsewhere. */
export type Place = {
  partition: number
  offset: number
  index: number
  /** Of the record, epoch milliseconds. */
  timestampMs: number
  encoding: RecordEncoding
}

/** One event for a person: place, time, encoding, series, delta, id, dims; or the reason. */
export function eventLine(place: Place, parsed: Parsed, paint: Terminal['paint']): string {
  const { partition, offset, index, encoding } = place
  const inRecord = encoding === 'packed' ? `.${index}` : ''
  const name = paint('dim', `${partition}:${offset}${inRecord}`)
  if (parsed.ok) return [name, ...fieldsOf(parsed.event, encoding)].join(GAP)
  const { reason } = parsed
  return [name, paint('red', 'invalid'), `${reason} (${REASON_DETAILS[reason]})`].join(GAP)
}

function fieldsOf(event: CountEvent, encoding: RecordEncoding): string[] {
  const { id, counter, key, delta, at, dims } = event
  return [
    new Date(at).toISOString(),
    encoding ?? '',
    printable(`${counter}/${key}`),
    delta < 0 ? String(delta) : `+${delta}`,
    printable(id),
    ...Array.from(dims ?? [], ([label, value]) => printable(`${label}=${value}`)),
  ]
}

/** The same as JSON: `event` is what publish takes, or `reason` says why there is none. */
export function eventJsonLine(place: Place, parsed: Parsed): string {
  const { partition, offset, index, timestampMs, encoding } = place
  const timestamp = formatTimestamp(timestampMs)
  const where = { partition, offset, index, timestamp, encoding: encoding ?? null }
  if (!parsed.ok) {
    const { reason } = parsed
    return printableJsonLine({ ...where, reason, detail: REASON_DETAILS[reason] })
  }
  return printableJsonLine({ ...where, event: inputOf(parsed.event) })
}

/** A producer may have written any number for a record's time. */
function formatTimestamp(ms: number): string | null {
  const time = new Date(ms)
  return Number.isNaN(time.getTime()) ? null : time.toISOString()
}
