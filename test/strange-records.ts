import type { ProducerHeader } from '@countersink/shared/kafka/record-batch-encoder'
import { PACKED_LIMITS, packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import type { Outcome } from '@countersink/shared/outcomes'
import type { InvalidReason } from '@countersink/shared/reasons'

/** What the strange records are counted under; `q0` to `q1000` are one counter too many. */
export const STRANGE_CONTRACTS = `
unknownCounters: reject
defaults: { lateness: 1h, windows: [1m], breakdowns: [[country]] }
counters:
  views:
  __proto__:
  constructor:
  up: { deltas: positive }
  small: { maxDelta: 100 }
  strict: { misrouted: reject }
  few: { maxSeriesPerPartition: 4 }
${Array.from({ length: 1001 }, (_, i) => `  q${i}:`).join('\n')}
`

type Expected =
  | { outcome: 'applied'; counter: string; key: string; delta: number }
  | { outcome: 'invalid'; reason: InvalidReason }
  | { outcome: Exclude<Outcome, 'applied' | 'invalid'> }

/** One record and what becomes of it. */
export type StrangeRecord = Expected & {
  what: string
  value: Buffer | null
  headers?: ProducerHeader[]
  /** Written into the partition that its key does not belong to. */
  misplaced?: boolean
}

const MINUTE_MS = 60_000
const KEYS_COUNTED = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  "'; drop table countersink_1.series; --",
  '<script>alert(1)</script>',
  '\u202eevil\u202c',
  '=HYPERLINK("http://example.org")',
  '+1', // A formula to a spreadsheet.
  'two\r\nlines',
  '\u001b[31mred\u001b[0m',
  '\u00e9',
  'e\u0301',
  'a/b//c',
  '%2e%2e%2f',
  '..',
  '\u{1f600}',
  'k'.repeat(1024),
]

/** The strange inputs that one record can hold, with their outcomes; `now` is about the append time. */
export function strangeRecords(now: number): StrangeRecord[] {
  const at = now - MINUTE_MS
  let ids = 0
  const event = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
    id: `s${ids++}`,
    counter: 'views',
    key: 'plain',
    delta: 1,
    at,
    ...fields,
  })
  const json = (fields?: Record<string, unknown>): Buffer =>
    Buffer.from(JSON.stringify(event(fields)))
  /** The JSON of an event with a piece of text put in as it is. */
  const spelled = (name: string, source: string): Buffer =>
    Buffer.from(JSON.stringify(event({ [name]: 'HERE' })).replace('"HERE"', source))

  const invalid = (reason: InvalidReason, what: string, value: Buffer | null): StrangeRecord => ({
    outcome: 'invalid',
    reason,
    what,
    value,
  })
  const applied = (what: string, fields: Record<string, unknown>, value = json(fields)) => {
    const {
      counter = 'views',
      key = 'plain',
      delta = 1,
    } = fields as Record<string, string & number>
    return { outcome: 'applied' as const, counter, key, delta, what, value }
  }

  return [
    ...wholeValues(invalid, json),
    ...KEYS_COUNTED.map((key) => applied(`the key ${JSON.stringify(key)}`, { key })),
    applied('the counter __proto__', { counter: '__proto__' }),
    applied('the counter constructor', { counter: 'constructor' }),
    applied(
      'dims named like members of every object',
      {},
      Buffer.from(
        JSON.stringify(event()).replace(
          /}$/,
          ',"dims":{"__proto__":"x","constructor":"y","toString":"z","country":"__proto__"}}',
        ),
      ),
    ),
    applied('an unknown field', { nobody: { knows: ['it'] } }),
    applied('a field twice: the last one counts', { delta: 7 }, spelled('delta', '5,"delta":7')),
    applied('no delta', { delta: 1 }, json({ delta: undefined })),
    applied('delta -0', { delta: 0 }, spelled('delta', '-0')),
    applied('delta 1e3', { delta: 1000 }, spelled('delta', '1e3')),
    applied('delta 1200e-2', { delta: 12 }, spelled('delta', '1200e-2')),
    applied('a negative delta', { delta: -4 }),
    applied('an RFC 3339 time', { at: new Date(at).toISOString() }),
    invalid('bad-delta', '2^53 + 1', spelled('delta', '9007199254740993')),
    invalid('bad-delta', '1e999', spelled('delta', '1e999')),
    invalid('bad-delta', 'a fraction', spelled('delta', '0.5')),
    invalid('bad-delta', 'a number as a string', json({ delta: '5' })),
    invalid('bad-delta', 'delta null', json({ delta: null })),
    invalid('not-json', 'NaN', spelled('delta', 'NaN')),
    invalid('not-json', 'Infinity', spelled('delta', 'Infinity')),
    invalid('bad-id', 'no id', json({ id: undefined })),
    invalid('bad-id', 'a lone surrogate in the id', spelled('id', String.raw`"\ud800"`)),
    invalid('bad-id', 'an id of 257 bytes', json({ id: 'i'.repeat(257) })),
    invalid('bad-counter', 'a blank counter', json({ counter: ' \t' })),
    invalid('bad-key', 'U+0000 in the key', spelled('key', String.raw`"a\u0000b"`)),
    invalid('bad-key', 'a lone surrogate in the key', spelled('key', String.raw`"\udc00"`)),
    invalid('bad-key', 'a key of 10 KB', json({ key: 'k'.repeat(10_240) })),
    invalid('bad-key', 'a blank key', json({ key: ' \u00a0\u2003' })),
    invalid('bad-dims', 'U+0000 in dims', spelled('dims', String.raw`{"a":"\u0000"}`)),
    invalid('bad-dims', 'dims that are a list', json({ dims: ['a'] })),
    invalid('missing-at', 'no at', json({ at: undefined })),
    invalid('bad-at', 'at -1', json({ at: -1 })),
    invalid('bad-at', 'after year 9999', json({ at: 253_402_300_800_000 })),
    invalid('bad-at', 'a day that is none', json({ at: '2024-02-30T00:00:00Z' })),
    invalid('future', 'the end of year 9999', json({ at: 253_402_300_799_999 })),
    invalid('future', 'beyond the skew', json({ at: now + 20 * MINUTE_MS })),
    invalid('unknown-counter', 'a counter without a contract', json({ counter: 'nobody' })),
    invalid('negative-delta', 'negative where not allowed', json({ counter: 'up', delta: -1 })),
    invalid('delta-out-of-bounds', 'beyond maxDelta', json({ counter: 'small', delta: 101 })),
    {
      ...invalid('misrouted', 'a foreign partition', json({ counter: 'strict' })),
      misplaced: true,
    },
    { ...applied('a foreign partition where that counts', { key: 'moved' }), misplaced: true },
    ...repeated(applied, json, at),
    ...cloudEvents(at),
    ...packedRecords(at),
    ...oddHeaders(applied, invalid, json),
  ]
}

type Invalid = (reason: InvalidReason, what: string, value: Buffer | null) => StrangeRecord
type Applied = (what: string, fields: Record<string, unknown>, value?: Buffer) => StrangeRecord
type Json = (fields?: Record<string, unknown>) => Buffer

function wholeValues(invalid: Invalid, json: Json): StrangeRecord[] {
  const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  // 100,000 levels do not fit into a value of 64 KiB, 30,000 do.
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
  return [
    invalid('null-value', 'a null value', null),
    invalid('empty-value', 'an empty value', Buffer.alloc(0)),
    invalid('not-json', 'cut JSON', json().subarray(0, 20)),
    invalid('not-an-object', 'null', Buffer.from('null')),
    invalid('not-an-object', 'a list', Buffer.from('[1]')),
    invalid('not-an-object', 'a number', Buffer.from('5')),
    invalid('not-utf8', 'invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    invalid('not-utf8', 'an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])),
    invalid('not-json', 'a byte order mark', Buffer.concat([Buffer.from('\ufeff'), json()])),
    invalid('too-large', '100,000 levels of nesting', Buffer.from(nested)),
    invalid('too-deep', '30,000 levels of nesting', Buffer.from(deep)),
    invalid('too-large', 'a value of 1 MB', json({ pad: 'x'.repeat(900_000) })),
    invalid('unknown-version', 'a schema version of tomorrow', json({ v: 2 })),
  ]
}

/** Retries, conflicts and latecomers; one after the other in one partition. */
function repeated(applied: Applied, json: Json, at: number): StrangeRecord[] {
  const key = 'again'
  const first = { id: 'again', key, delta: 3, at }
  const late = { id: 'late', key, at: at - 61 * MINUTE_MS }
  return [
    applied('an id', first),
    { outcome: 'duplicate', what: 'the same id again', value: json(first) },
    { outcome: 'conflict', what: 'with another delta', value: json({ ...first, delta: 4 }) },
    { outcome: 'conflict', what: 'with another at', value: json({ ...first, at: at - 1 }) },
    { outcome: 'conflict', what: 'with dims', value: json({ ...first, dims: { a: 'b' } }) },
    { outcome: 'late', what: 'older than the clock less the lateness', value: json(late) },
  ]
}

function header(name: string, value: string | Buffer | null): ProducerHeader {
  return { name, value: value === null ? null : Buffer.from(value) }
}

function cloudEvents(at: number): StrangeRecord[] {
  const time = new Date(at).toISOString()
  const fields = { specversion: '1.0', source: '/test', type: 'views', subject: 'cloud', time }
  const structured = { ...fields, id: 'c1', data: { delta: 5, dims: { country: 'de' } } }
  const binary = (id: string, version = '1.0') => [
    header('ce_specversion', version),
    header('ce_id', id),
    header('ce_source', '/test'),
    header('ce_type', 'views'),
    header('ce_subject', 'cloud'),
    header('ce_time', time),
  ]
  const counted = { outcome: 'applied' as const, counter: 'views', key: 'cloud' }
  const value = Buffer.from(JSON.stringify(structured))
  const type = header('content-type', 'application/cloudevents+json; charset=UTF-8')
  return [
    { ...counted, delta: 5, what: 'a structured CloudEvent', value, headers: [type] },
    {
      ...counted,
      delta: 6,
      what: 'a binary CloudEvent',
      value: Buffer.from('{"delta":6}'),
      headers: [...binary('c2'), header('content-type', 'application/json')],
    },
    { ...counted, delta: 1, what: 'one without data', value: null, headers: binary('c3') },
    { outcome: 'duplicate', what: 'the same binary one', value: null, headers: binary('c3') },
    {
      outcome: 'invalid',
      reason: 'unknown-version',
      what: 'a CloudEvent of version 2',
      value: null,
      headers: binary('c4', '2.0'),
    },
    {
      outcome: 'invalid',
      reason: 'bad-cloud-event',
      what: 'a structured CloudEvent without a subject',
      value: Buffer.from(JSON.stringify({ ...structured, subject: undefined })),
      headers: [type],
    },
  ]
}

/**
 * Of one event each, so that the record's outcome is that of the event. They go to
 * partition 0, as all that is no JSON does, and that is where the key `packed` belongs to.
 */
function packedRecords(at: number): StrangeRecord[] {
  const writer = new PackedWriter()
  const packed = (id: string, key = 'packed'): Buffer => {
    writer.addRaw(id, 'views', key, new Map([['country', 'de']]), at, 4)
    return writer.finish()
  }
  const changed = (position: number): Buffer => {
    const value = packed('changed')
    value[position] = 0xff
    return value
  }
  const invalid = (reason: InvalidReason, what: string, value: Buffer | null): StrangeRecord => {
    return { outcome: 'invalid', reason, what, value, headers: [...packedHeaders] }
  }
  const counted = { outcome: 'applied' as const, counter: 'views', key: 'packed', delta: 4 }
  const huge = Buffer.concat([packed('huge'), Buffer.alloc(PACKED_LIMITS.valueBytesMax - 1000)])
  return [
    { ...counted, what: 'a packed record', value: packed('p1'), headers: [...packedHeaders] },
    {
      outcome: 'duplicate',
      what: 'the same event as JSON',
      value: Buffer.from(
        `{"id":"p1","counter":"views","key":"packed","delta":4,"at":${at},"dims":{"country":"de"}}`,
      ),
    },
    invalid('packed-malformed', 'JSON that is called packed', Buffer.from('{}')),
    invalid('packed-malformed', 'a packed record that is cut', packed('cut').subarray(0, 4)),
    invalid('packed-checksum', 'a packed record with a byte changed', changed(12)),
    invalid('packed-checksum', 'one with a million bytes behind it', huge),
    invalid('unknown-version', 'a packed record of tomorrow', changed(4)),
    invalid('null-value', 'a packed record without a value', null),
    invalid('empty-value', 'an empty packed record', Buffer.alloc(0)),
    invalid('bad-key', 'a packed event with a blank key', packed('blank', ' ')),
  ]
}

function oddHeaders(applied: Applied, invalid: Invalid, json: Json): StrangeRecord[] {
  const json10k = Array.from({ length: 10_000 }, (_, i) => header(`h${i}`, 'x'))
  const twice = [header('content-type', 'application/json'), header('content-type', 'text/plain')]
  const foreign = [header('trace', 'a'), header('trace', Buffer.from([0xff])), header('x', null)]
  return [
    { ...invalid('bad-record', '10,000 headers', json()), headers: json10k },
    { ...invalid('bad-record', 'a repeated content type', json()), headers: twice },
    {
      ...invalid('unsupported-content-type', 'a type that is not ours', json()),
      headers: [header('content-type', 'application/avro')],
    },
    { ...applied('headers of others, repeated, of any bytes', {}), headers: foreign },
  ]
}
