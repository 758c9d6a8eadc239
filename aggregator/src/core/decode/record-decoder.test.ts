import { LIMITS } from '@countersink/shared/event'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'
import { describe, expect, test } from 'vitest'
import { createFields } from './fields.ts'
import { RecordDecoder } from './record-decoder.ts'
import { HEADERS_MAX } from '@countersink/shared/record-headers'

const BATCH_HEADER_BYTES = 61
const decoder = new RecordDecoder(createFields())

type Header = [name: string, value: string | Buffer | null]

/** The reason, or the event that is in the fields. */
async function decode(value: string | Buffer | null, headers: Header[] = []) {
  const record = {
    key: null,
    value: typeof value === 'string' ? Buffer.from(value) : value,
    headers: headers.map(([name, text]) => ({
      name,
      value: typeof text === 'string' ? Buffer.from(text) : text,
    })),
  }
  const batch = await encodeRecordBatch([record], 'none', noStamp, 0)
  const records = batch.subarray(BATCH_HEADER_BYTES)
  const times = { baseTimestampMs: 0, maxTimestampMs: 0, logAppendTime: false }
  const cursor = new RecordCursor()
  cursor.open({ baseOffset: 0, nextOffset: 1, count: 1, ...times, records }, 0)
  expect(cursor.next()).toBe(true)
  const reason = decoder.decode(cursor)
  return reason ?? event()
}

function event() {
  const { fields } = decoder
  const text = (start: number, end: number) =>
    Buffer.from(fields.bytes.subarray(start, end)).toString('utf8')
  const dims = Array.from({ length: fields.dimCount }, (_, i) => {
    const [a = 0, b = 0, c = 0, d = 0] = fields.dims.subarray(i * 4, i * 4 + 4)
    return [text(a, b), text(c, d)]
  })
  return {
    id: text(fields.idStart, fields.idEnd),
    counter: text(fields.counterStart, fields.counterEnd),
    key: text(fields.keyStart, fields.keyEnd),
    delta: fields.delta,
    at: fields.at,
    dims: Object.fromEntries(dims),
  }
}

const NATIVE = '{"id":"e1","counter":"views","key":"k1","delta":3,"at":1700000000000}'
const EVENT = { id: 'e1', counter: 'views', key: 'k1', delta: 3, at: 1700000000000, dims: {} }
const STRUCTURED = JSON.stringify({
  specversion: '1.0',
  id: 'e1',
  source: '/shop',
  type: 'views',
  subject: 'k1',
  time: '2023-11-14T22:13:20Z',
  data: { delta: 3, dims: { country: 'dé' } },
})
const MAPPED = { ...EVENT, id: '5:/shop:e1', dims: { country: 'dé' } }
const BINARY: Header[] = [
  ['ce_specversion', '1.0'],
  ['ce_id', 'e1'],
  ['ce_source', '/shop'],
  ['ce_type', 'views'],
  ['ce_subject', 'k1'],
  ['ce_time', '2023-11-14T22:13:20Z'],
]
const JSON_TYPE: Header = ['content-type', 'application/json']
const STRUCTURED_TYPE: Header = ['content-type', 'application/cloudevents+json; charset=UTF-8']

function binaryWith(name: string, value: string | Buffer | null): Header[] {
  return BINARY.map((header) => (header[0] === name ? [name, value] : header))
}

describe('A record without headers is', () => {
  test('a plain event, read where it lies', async () => {
    expect(await decode(NATIVE)).toEqual(EVENT)
  })

  test('an event in any other spelling, read by the slow path', async () => {
    const spelled = NATIVE.replace('k1', 'k\\u00e9😀').replace(':3', ':3.0')
    expect(await decode(spelled)).toEqual({ ...EVENT, key: 'ké😀' })
  })

  test('a structured CloudEvent when it says so itself', async () => {
    expect(await decode(STRUCTURED)).toEqual(MAPPED)
  })

  test('invalid when it holds none', async () => {
    expect(await decode(null)).toBe('null-value')
    expect(await decode('')).toBe('empty-value')
    expect(await decode('{"id":')).toBe('not-json')
    expect(await decode(Buffer.from([0xff, 0x7b]))).toBe('not-utf8')
    expect(await decode(NATIVE.replace('3', '"3"'))).toBe('bad-delta')
    expect(await decode('['.repeat(60_000))).toBe('not-json')
    expect(await decode('['.repeat(30_000) + ']'.repeat(30_000))).toBe('too-deep')
  })

  test('too large before anything else is looked at', async () => {
    const padded = NATIVE.padEnd(LIMITS.valueBytesMax)
    expect(await decode(padded)).toEqual(EVENT)
    expect(await decode(`${padded} `)).toBe('too-large')
    expect(await decode(Buffer.alloc(200_000, '['))).toBe('too-large')
  })
})

test('the largest event of all fits the slow path', async () => {
  const dims = Array.from({ length: LIMITS.dimsMax }, (_, i) => [
    'n'.repeat(LIMITS.dimNameBytesMax - 2) + String(i).padStart(2, '0'),
    'é'.repeat(LIMITS.dimValueBytesMax / 2),
  ])
  const largest = {
    id: 'é'.repeat(LIMITS.idBytesMax / 2),
    counter: 'é'.repeat(LIMITS.counterBytesMax / 2),
    key: 'é'.repeat(LIMITS.keyBytesMax / 2),
    delta: Number.MIN_SAFE_INTEGER,
    at: LIMITS.atMsMax,
    dims: Object.fromEntries(dims),
  }
  expect(await decode(JSON.stringify(largest))).toEqual(largest)
})

describe('With a content-type header', () => {
  test('JSON is JSON, whatever its parameters and case', async () => {
    expect(await decode(NATIVE, [JSON_TYPE])).toEqual(EVENT)
    const type: Header = ['content-type', ' Application/JSON ; charset=utf-8']
    expect(await decode(NATIVE, [type])).toEqual(EVENT)
    expect(await decode(STRUCTURED, [type])).toEqual(MAPPED)
    expect(await decode(NATIVE, [['content-type', null]])).toEqual(EVENT)
  })

  test('a structured CloudEvent must be one', async () => {
    expect(await decode(STRUCTURED, [STRUCTURED_TYPE])).toEqual(MAPPED)
    expect(await decode(NATIVE, [STRUCTURED_TYPE])).toBe('bad-cloud-event')
    expect(await decode('[]', [STRUCTURED_TYPE])).toBe('not-an-object')
    expect(await decode('', [STRUCTURED_TYPE])).toBe('empty-value')
    expect(await decode(null, [STRUCTURED_TYPE])).toBe('null-value')
    const later = STRUCTURED.replace('"1.0"', '"2.0"')
    expect(await decode(later, [STRUCTURED_TYPE])).toBe('unknown-version')
  })

  test.each([
    'application/cloudevents-batch+json',
    'application/cloudevents+avro',
    'application/vnd.countersink.packed.v1',
    'application/jsonx',
    'text/plain',
    '',
  ])('%j is unsupported', async (type) => {
    expect(await decode(NATIVE, [['content-type', type]])).toBe('unsupported-content-type')
    expect(await decode(null, [['content-type', type]])).toBe('unsupported-content-type')
  })
})

describe('A binary CloudEvent', () => {
  test('has its attributes in headers and its data in the value', async () => {
    const data = '{"delta":3,"dims":{"country":"dé"}}'
    expect(await decode(data, BINARY)).toEqual(MAPPED)
    expect(await decode(data, [JSON_TYPE, ...BINARY])).toEqual(MAPPED)
  })

  test('without data counts 1', async () => {
    const counted = { ...MAPPED, delta: 1, dims: {} }
    expect(await decode(null, BINARY)).toEqual(counted)
    expect(await decode('', BINARY)).toEqual(counted)
    expect(await decode('null', BINARY)).toEqual(counted)
  })

  test('is not mistaken for a native event', async () => {
    // The value is data only: its id, counter and key mean nothing.
    expect(await decode(NATIVE, BINARY)).toEqual({ ...MAPPED, dims: {} })
  })

  test.each(['ce_id', 'ce_source', 'ce_type', 'ce_subject'])('needs %s', async (name) => {
    expect(await decode('{}', binaryWith(name, null))).toBe('bad-cloud-event')
  })

  test('needs a time, version 1.0, and data that are an object of JSON', async () => {
    expect(await decode('{}', binaryWith('ce_time', null))).toBe('missing-at')
    expect(await decode('{}', binaryWith('ce_time', 'now'))).toBe('bad-at')
    expect(await decode('{}', binaryWith('ce_specversion', '0.3'))).toBe('unknown-version')
    expect(await decode('[3]', BINARY)).toBe('bad-cloud-event')
    expect(await decode('{', BINARY)).toBe('not-json')
    expect(await decode(Buffer.from([0xc3]), BINARY)).toBe('not-utf8')
    expect(await decode('{"delta":0.5}', BINARY)).toBe('bad-delta')
  })
})

describe('Headers', () => {
  test('of other names may be repeated and hold anything', async () => {
    const others: Header[] = [
      ['trace', 'a'],
      ['trace', Buffer.from([0xff])],
      ['', null],
      ['x'.repeat(5000), 'y'],
      ['Content-Type', 'text/plain'],
    ]
    expect(await decode(NATIVE, [...others, JSON_TYPE])).toEqual(EVENT)
  })

  test('that say how to read the value may not be repeated', async () => {
    expect(await decode(NATIVE, [JSON_TYPE, JSON_TYPE])).toBe('bad-record')
    expect(await decode(NATIVE, [['content-type', null], JSON_TYPE])).toBe('bad-record')
    expect(await decode('{}', [...BINARY, ['ce_id', 'e2']])).toBe('bad-record')
  })

  test('must be UTF-8 and of a sane length', async () => {
    expect(await decode('{}', binaryWith('ce_id', Buffer.from([0xc3])))).toBe('bad-record')
    expect(await decode('{}', binaryWith('ce_id', 'x'.repeat(5000)))).toBe('bad-record')
  })

  test('are looked at up to a bound', async () => {
    const many = (count: number): Header[] => Array.from({ length: count }, (_, i) => [`h${i}`, ''])
    expect(await decode(NATIVE, many(HEADERS_MAX))).toEqual(EVENT)
    expect(await decode(NATIVE, many(HEADERS_MAX + 1))).toBe('bad-record')
    expect(await decode(NATIVE, many(10_000))).toBe('bad-record')
  })
})
