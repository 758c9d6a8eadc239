/** CloudEvents 1.0, structured (JSON) and binary (Kafka headers `ce_*`, HTTP headers `ce-*`), as count events. */
export const CLOUD_EVENT_SPEC_VERSION = '1.0'
export const CLOUD_EVENT_CONTENT_TYPE = 'application/cloudevents+json'
export const CLOUD_EVENT_BATCH_CONTENT_TYPE = 'application/cloudevents-batch+json'

type Fields = Record<string, unknown>

/**
 * `source` and `id` together identify an event, so both go into our id; the length before them
 * keeps ("a", "bc") and ("ab", "c") apart. Undefined when a required attribute is missing.
 */
export function fromCloudEvent(event: Readonly<Fields>): Fields | undefined {
  const { id, source, type, subject, time, data, data_base64: binary } = event
  if (typeof id !== 'string' || id === '' || typeof source !== 'string' || source === '')
    return undefined
  if (typeof type !== 'string' || typeof subject !== 'string') return undefined
  // The specification's time is RFC 3339 text only; a number would be a foreign idea of it.
  if (time !== undefined && typeof time !== 'string') return undefined
  // Bytes that we cannot read must not count as the 1 that no data at all stands for.
  if (binary !== undefined) return undefined
  const fields: Fields = {
    id: `${source.length}:${source}:${id}`,
    counter: type,
    key: subject,
    at: time,
  }
  if (data === undefined || data === null) return fields
  if (typeof data !== 'object' || Array.isArray(data)) return undefined
  const body = data as Fields
  fields['delta'] = body['delta']
  fields['dims'] = body['dims']
  return fields
}
