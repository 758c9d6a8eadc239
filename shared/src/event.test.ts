import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  checkEvent,
  type CountEvent,
  formatEvent,
  inputOf,
  LIMITS,
  parseEventBytes,
  parseEventText,
  parseEventValue,
  parseJson,
  parseRfc3339,
} from './event.ts'
import { INVALID_REASONS, REASON_DETAILS } from './reasons.ts'

const AT = 1_714_564_800_000
const BASE = { id: 'e1', counter: 'views', key: 'v1', at: AT }

const parse = (fields: Record<string, unknown>) =>
  parseEventText(JSON.stringify({ ...BASE, ...fields }))

/** The text of an event with one field spelled out, for what JSON.stringify cannot write. */
const spelled = (name: string, source: string) =>
  parseEventText(
    JSON.stringify({ ...BASE, [name]: 0 }).replace(`"${name}":0`, `"${name}":${source}`),
  )

test('a plain event, its defaults, and fields of others', () => {
  expect(parse({})).toEqual({ ok: true, event: { ...BASE, delta: 1 } })
  expect(parse({ delta: -5, v: 1, note: { x: [1.5] } })).toEqual({
    ok: true,
    event: { ...BASE, delta: -5 },
  })
})

test('a null delta is not a missing one', () => {
  expect(parse({ delta: null })).toEqual({ ok: false, reason: 'bad-delta' })
})

const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
  )

test.each([
  ['empty', bytes(), 'empty-value'],
  ['cut', bytes('{"id":"e1","coun'), 'not-json'],
  ['a BOM', bytes([0xef, 0xbb, 0xbf], JSON.stringify(BASE)), 'not-json'],
  ['UTF-16', Buffer.from(JSON.stringify(BASE), 'utf16le'), 'not-json'],
  ['invalid UTF-8', bytes('{"id":"', [0xff], '"}'), 'not-utf8'],
  ['overlong UTF-8', bytes('{"id":"', [0xc0, 0x80], '"}'), 'not-utf8'],
  ['a surrogate in UTF-8', bytes('{"id":"', [0xed, 0xa0, 0x80], '"}'), 'not-utf8'],
  ['only spaces', bytes('  \n'), 'not-json'],
  ['two values', bytes('{}{}'), 'not-json'],
  ['NaN', bytes('NaN'), 'not-json'],
  ['a trailing comma', bytes('{"a":1,}'), 'not-json'],
  ['null', bytes('null'), 'not-an-object'],
  ['a list', bytes('[]'), 'not-an-object'],
  ['a string', bytes('"x"'), 'not-an-object'],
  ['a number', bytes('1e999'), 'not-an-object'],
  ['100,000 levels, too large', bytes('['.repeat(100_000)), 'too-large'],
  ['30,000 levels', bytes('['.repeat(30_000), ']'.repeat(30_000)), 'too-deep'],
  ['30,000 levels, cut', bytes('['.repeat(30_000)), 'not-json'],
  [
    'too large',
    bytes(JSON.stringify({ ...BASE, note: 'x'.repeat(LIMITS.valueBytesMax) })),
    'too-large',
  ],
] as const)('%s is %s', (_name, value, reason) => {
  expect(parseEventBytes(value)).toEqual({ ok: false, reason })
})

test('the largest value that fits is read', () => {
  const room = LIMITS.valueBytesMax - JSON.stringify({ ...BASE, note: '' }).length
  const value = Buffer.from(JSON.stringify({ ...BASE, note: 'x'.repeat(room) }))
  expect(value.length).toBe(LIMITS.valueBytesMax)
  expect(parseEventBytes(value)).toMatchObject({ ok: true })
  expect(parseEventBytes(Buffer.concat([value, Buffer.from(' ')]))).toMatchObject({
    reason: 'too-large',
  })
})

test('depth is bounded by our own count, with and without numbers that are parsed twice', () => {
  const nested = (levels: number, number: string) =>
    parseEventText(
      `{"note":${'['.repeat(levels)}${number}${']'.repeat(levels)},${JSON.stringify(BASE).slice(1)}`,
    )
  for (const number of ['1', '1.5']) {
    expect(nested(LIMITS.depthMax - 1, number)).toMatchObject({ ok: true })
    expect(nested(LIMITS.depthMax, number)).toEqual({ ok: false, reason: 'too-deep' })
    expect(nested(20_000, number)).toEqual({ ok: false, reason: 'too-deep' })
  }
})

test.each([
  ['v', 2, 'unknown-version'],
  ['v', '1', 'unknown-version'],
  ['v', null, 'unknown-version'],
  ['id', undefined, 'bad-id'],
  ['id', '', 'bad-id'],
  ['id', 12, 'bad-id'],
  ['id', 'x'.repeat(257), 'bad-id'],
  ['id', 'ä'.repeat(129), 'bad-id'],
  ['id', 'a\u0000', 'bad-id'],
  ['counter', undefined, 'bad-counter'],
  ['counter', ' \t\u00a0\u3000\ufeff', 'bad-counter'],
  ['counter', 'x'.repeat(129), 'bad-counter'],
  ['key', undefined, 'bad-key'],
  ['key', '', 'bad-key'],
  ['key', '  ', 'bad-key'],
  ['key', 'x'.repeat(10_240), 'bad-key'],
  ['key', 'a\u0000b', 'bad-key'],
  ['key', { a: 1 }, 'bad-key'],
  ['delta', '5', 'bad-delta'],
  ['delta', true, 'bad-delta'],
  ['delta', [], 'bad-delta'],
  ['at', undefined, 'missing-at'],
  ['at', null, 'bad-at'],
  ['at', -1, 'bad-at'],
  ['at', LIMITS.atMsMax + 1, 'bad-at'],
  ['at', '1714564800000', 'bad-at'],
  ['at', '', 'bad-at'],
  ['at', {}, 'bad-at'],
  ['dims', null, 'bad-dims'],
  ['dims', [], 'bad-dims'],
  ['dims', 'de', 'bad-dims'],
  ['dims', { a: 1 }, 'bad-dims'],
  ['dims', { a: null }, 'bad-dims'],
  ['dims', { '': 'x' }, 'bad-dims'],
  ['dims', { ['n'.repeat(65)]: 'x' }, 'bad-dims'],
  ['dims', { n: 'x'.repeat(257) }, 'bad-dims'],
  ['dims', { n: '\u0000' }, 'bad-dims'],
  ['dims', Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`d${i}`, 'x'])), 'bad-dims'],
] as const)('%s = %j is %s', (name, value, reason) => {
  expect(parse({ [name]: value })).toEqual({ ok: false, reason })
})

test.each([
  ['delta', '9007199254740993', 'bad-delta'],
  ['delta', '9007199254740992', 'bad-delta'],
  ['delta', '9007199254740991.4', 'bad-delta'],
  ['delta', '1.5', 'bad-delta'],
  ['delta', '1e999', 'bad-delta'],
  ['delta', '-1e999', 'bad-delta'],
  ['delta', '1e-400', 'bad-delta'],
  ['at', '1714564800000.5', 'bad-at'],
  ['at', '1e400', 'bad-at'],
  ['id', String.raw`"\ud800"`, 'bad-id'],
  ['key', String.raw`"\udc00\ud800"`, 'bad-key'],
  ['key', String.raw`"\u0000"`, 'bad-key'],
  ['delta', 'NaN', 'not-json'],
  ['delta', 'Infinity', 'not-json'],
  ['delta', '01', 'not-json'],
  ['delta', '+1', 'not-json'],
  ['key', '"a\nb"', 'not-json'],
] as const)('%s spelled %s is %s', (name, source, reason) => {
  expect(spelled(name, source)).toEqual({ ok: false, reason })
})

test.each([
  ['9007199254740991', 9007199254740991],
  ['-9007199254740991', -9007199254740991],
  ['9007199254740991.0', 9007199254740991],
  ['1e3', 1000],
  ['-0', 0],
  ['-0.0', 0],
  ['0', 0],
])('delta %s is exact', (source, delta) => {
  const parsed = spelled('delta', source)
  expect(parsed).toMatchObject({ ok: true, event: { delta } })
  expect(parsed.ok && Object.is(parsed.event.delta, delta)).toBe(true)
})

test('strange but valid: they count like any other', () => {
  const strange = [
    '__proto__',
    'constructor',
    'toString',
    "'; drop table series; --",
    '<script>alert(1)</script>',
    '=HYPERLINK("x")',
    '\u202edcba',
    'a\r\nb\u001b[31m',
    'é',
    'e\u0301',
    '\ufeffa',
    '😀',
    'x'.repeat(LIMITS.keyBytesMax),
  ]
  for (const key of strange) {
    expect(parse({ key, counter: key.slice(0, 128) })).toMatchObject({ ok: true, event: { key } })
  }
})

test('dims may be named like anything an object inherits', () => {
  const parsed = spelled('dims', '{"toString":"a","__proto__":"b","constructor":"","a":"\u00e9"}')
  const dims = new Map([
    ['__proto__', 'b'],
    ['a', 'é'],
    ['constructor', ''],
    ['toString', 'a'],
  ])
  expect(parsed).toMatchObject({ ok: true, event: { dims } })
  const written = parsed.ok ? formatEvent(parsed.event) : ''
  expect(parseEventText(written)).toEqual(parsed)
})

test('empty dims are no dims, and the names are sorted by code units', () => {
  expect(parse({ dims: {} })).toEqual(parse({}))
  const parsed = parse({ dims: { b: '1', '\uff5e': '2', '😀': '3', B: '4' } })
  expect(parsed.ok && [...(parsed.event.dims ?? new Map()).keys()]).toEqual([
    'B',
    'b',
    '😀',
    '\uff5e',
  ])
})

test('of a name that is given twice the last counts', () => {
  expect(parseEventText('{"id":"a","id":"b","counter":"c","key":"k","at":1}')).toMatchObject({
    event: { id: 'b' },
  })
})

test('fields that an object inherits are not its own', () => {
  expect(checkEvent(Object.create(null) as Record<string, unknown>)).toEqual({
    ok: false,
    reason: 'bad-id',
  })
  expect(parseEventText('{"__proto__":{"id":"a","counter":"c","key":"k","at":1}}')).toEqual({
    ok: false,
    reason: 'bad-id',
  })
})

test.each([
  ['1970-01-01T00:00:00Z', 0],
  ['2024-02-29T12:34:56Z', Date.UTC(2024, 1, 29, 12, 34, 56)],
  ['2024-02-29t12:34:56z', Date.UTC(2024, 1, 29, 12, 34, 56)],
  ['2024-02-29 12:34:56Z', Date.UTC(2024, 1, 29, 12, 34, 56)],
  ['2024-05-01T12:00:00.5Z', Date.UTC(2024, 4, 1, 12, 0, 0, 500)],
  ['2024-05-01T12:00:00.123456789Z', Date.UTC(2024, 4, 1, 12, 0, 0, 123)],
  ['2024-05-01T12:00:00+05:30', Date.UTC(2024, 4, 1, 6, 30)],
  ['2024-05-01T12:00:00-08:00', Date.UTC(2024, 4, 1, 20)],
  ['9999-12-31T23:59:59.999Z', LIMITS.atMsMax],
])('%s is a time', (text, ms) => {
  expect(parseRfc3339(text)).toBe(ms)
  expect(parse({ at: text })).toMatchObject({ ok: true, event: { at: ms } })
})

test.each([
  '2024-05-01',
  '2024-05-01T12:00Z',
  '2024-05-01T12:00:00',
  '2024-05-01T12:00:00.Z',
  '2024-05-01T12:00:00.1234567890Z',
  '2024-13-01T12:00:00Z',
  '2024-00-01T12:00:00Z',
  '2024-02-30T12:00:00Z',
  '2023-02-29T12:00:00Z',
  '2024-05-00T12:00:00Z',
  '2024-05-01T24:00:00Z',
  '2024-05-01T12:60:00Z',
  '2016-12-31T23:59:60Z',
  '2024-05-01T12:00:00+24:00',
  '2024-05-01T12:00:00+05:60',
  '2024-05-01T12:00:00+0530',
  '0070-01-01T00:00:00Z',
  '1969-12-31T23:59:59Z',
  '1970-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '+02024-05-01T12:00:00Z',
  ' 2024-05-01T12:00:00Z',
  '2024-05-01T12:00:00Z\n',
])('%j is bad-at', (at) => {
  expect(parse({ at })).toEqual({ ok: false, reason: 'bad-at' })
})

const text = (max: number) =>
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: max })
    .filter((t) => t.trim() !== '' && !t.includes('\u0000') && Buffer.byteLength(t) <= max)

const events: fc.Arbitrary<CountEvent> = fc
  .record({
    id: text(64),
    counter: text(32),
    key: text(64),
    delta: fc.maxSafeInteger(),
    at: fc.nat(LIMITS.atMsMax),
    dims: fc.uniqueArray(fc.tuple(text(16), fc.oneof(fc.constant(''), text(16))), {
      selector: ([name]) => name,
      maxLength: LIMITS.dimsMax,
    }),
  })
  .map(({ dims, ...event }) => {
    if (dims.length === 0) return event
    return { ...event, dims: new Map(dims.toSorted(([a], [b]) => (a < b ? -1 : 1))) }
  })

test('what is formatted parses to the same, as text, bytes and value', () => {
  fc.assert(
    fc.property(events, (event) => {
      const written = formatEvent(event)
      expect(parseEventText(written)).toEqual({ ok: true, event })
      expect(parseEventBytes(Buffer.from(written))).toEqual({ ok: true, event })
      expect(parseEventValue(JSON.parse(written))).toEqual({ ok: true, event })
      expect(Buffer.byteLength(written)).toBeLessThanOrEqual(LIMITS.valueBytesMax)
    }),
  )
})

test('the largest possible event fits the largest value, however JSON escapes it', () => {
  const long = (max: number, last = '') => '\u0001'.repeat(max - last.length) + last
  const dims = Array.from({ length: LIMITS.dimsMax }, (_, i) => {
    const name = long(LIMITS.dimNameBytesMax, String.fromCharCode(65 + i))
    return [name, long(LIMITS.dimValueBytesMax)] as const
  })
  const largest = checkEvent({
    id: long(LIMITS.idBytesMax),
    counter: long(LIMITS.counterBytesMax),
    key: long(LIMITS.keyBytesMax),
    delta: Number.MIN_SAFE_INTEGER,
    at: LIMITS.atMsMax,
    dims: Object.fromEntries(dims),
  })
  expect(largest.ok && parseEventText(formatEvent(largest.event))).toEqual(largest)
  expect(largest.ok && formatEvent(largest.event).length).toBeLessThan(LIMITS.valueBytesMax)
})

test('an event that comes back can be added again as it is', () => {
  const raw = { id: 'a', counter: 'c', key: 'k', delta: -2, at: 5 }
  for (const input of [raw, { ...raw, dims: { country: 'de', __proto__: 'own' } }]) {
    const parsed = checkEvent(input)
    const again = parsed.ok && inputOf(parsed.event)
    expect(again).toEqual(input)
    expect(checkEvent({ ...again })).toEqual(parsed)
  }
})

test('any bytes give an event or a listed reason, never an exception', () => {
  const json = fc.json({ maxDepth: 3 }).map((value) => Buffer.from(value))
  const nearly = fc.tuple(events, fc.nat(), fc.nat(255)).map(([event, place, byte]) => {
    const value = Buffer.from(formatEvent(event))
    value[place % value.length] = byte
    return value
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), json, nearly), (value) => {
      const parsed = parseEventBytes(value)
      const again = parsed.ok ? parseEventText(formatEvent(parsed.event)) : parsed
      expect(again).toEqual(parsed)
      expect(parsed.ok || INVALID_REASONS.includes(parsed.reason)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test('numbers are exact or NaN, wherever they stand', () => {
  expect(parseJson('[9007199254740993, 1e2, 0.5, {"a": -0.0}]')).toEqual({
    ok: true,
    value: [Number.NaN, 100, Number.NaN, { a: 0 }],
  })
  expect(parseJson('["9007199254740993.5"]')).toEqual({ ok: true, value: ['9007199254740993.5'] })
})

test('every reason has a detail, and none twice', () => {
  expect(new Set(INVALID_REASONS).size).toBe(INVALID_REASONS.length)
  expect(Object.keys(REASON_DETAILS)).toEqual([...INVALID_REASONS])
})
