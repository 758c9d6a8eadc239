import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkEvent, inputOf, parseEventText } from '../event.ts'
import { INVALID_REASONS } from '../reasons.ts'
import { PACKED_LIMITS } from './packed-format.ts'
import { parsePacked } from './packed-reader.ts'
import { anyPackedValue, nearlyRightBody, sealBody } from './packed-samples.ts'
import { PackedWriter } from './packed-writer.ts'

const DOC = join(import.meta.dirname, '..', '..', '..', 'docs', 'packed-records.md')
const SESSION = 'm6kq3f0a0ABCDEFGHIJKLMN-_'
const T = 1_700_000_000_000

/** The bytes of the example, without what is said of them. */
function exampleOfDoc(): Buffer {
  const [, block = ''] = readFileSync(DOC, 'utf8').split('```')
  const bytes = block
    .split('\n')
    .map((line) => /^\s*((?:[0-9a-f]{2} {1,2})*)/.exec(line)?.[1] ?? '')
  return Buffer.from(bytes.join('').replaceAll(' ', ''), 'hex')
}

test('the example of the documentation is read, and is what the writer writes', () => {
  const dims = new Map([['country', 'de']])
  const sale = { counter: 'sales', key: 'shop', at: T + 2, dims }
  const example = exampleOfDoc()
  expect(parsePacked(example)).toEqual({
    ok: true,
    events: [
      { id: `${SESSION}.0.40`, counter: 'views', key: 'v1', at: T, delta: 1 },
      { id: `${SESSION}.0.41`, counter: 'views', key: 'v2', at: T + 5, delta: 1 },
      { id: 'order-7', delta: -300, ...sale },
      { id: 'order-8', delta: 1, ...sale },
    ].map((event) => ({ ok: true, event })),
  })
  const writer = new PackedWriter()
  writer.addMade(SESSION, 0, 40, 'views', 'v1', undefined, T, 1)
  writer.addMade(SESSION, 0, 41, 'views', 'v2', undefined, T + 5, 1)
  writer.addRaw('order-7', 'sales', 'shop', dims, T + 2, -300)
  writer.addRaw('order-8', 'sales', 'shop', dims, T + 2, 1)
  expect(writer.finish()).toEqual(example)
})

test('any bytes give events or a reason', () => {
  const met = new Set<string>()
  fc.assert(
    fc.property(anyPackedValue, (value) => {
      const parsed = parsePacked(value)
      const all = parsed.ok ? parsed.events : [parsed]
      met.add(parsed.ok ? 'events' : parsed.reason)
      expect(all.length).toBeGreaterThan(0)
      expect(all.every((one) => one.ok || INVALID_REASONS.includes(one.reason))).toBe(true)
    }),
    { numRuns: 5000 },
  )
  expect([...met]).toEqual(expect.arrayContaining(['events', 'packed-malformed']))
})

test('a valid event is one that JSON has, too', () => {
  fc.assert(
    fc.property(nearlyRightBody, (body) => {
      const parsed = parsePacked(sealBody(body))
      for (const one of parsed.ok ? parsed.events : []) {
        if (!one.ok) continue
        expect(parseEventText(JSON.stringify(inputOf(one.event)))).toEqual(one)
      }
    }),
    { numRuns: 2000 },
  )
})

const HEAD = [1, 0] as const
/** One event: no dims, a raw id "i", the series "c/k", at 0, delta 1. */
const PLAIN = [...HEAD, 1, 1, 0x63, 1, 0, 1, 0x6b, 0, 1, 1, 0, 1, 0x69, 0, 0, 0]

const body = (...bytes: (number | string)[]): Buffer =>
  Buffer.concat(bytes.map((b) => (typeof b === 'string' ? Buffer.from(b) : Buffer.from([b]))))
const reasonOf = (value: Uint8Array): string => {
  const parsed = parsePacked(value)
  return parsed.ok
    ? parsed.events.map((one) => (one.ok ? 'ok' : one.reason)).join(' ')
    : parsed.reason
}
const plain = (): Buffer => sealBody(body(...PLAIN))
const withByte = (position: number, byte: number): Buffer => {
  const value = plain()
  value[position] = byte
  return value
}

test.each([
  ['empty', Buffer.alloc(0), 'empty-value'],
  ['shorter than the magic', Buffer.from('CSP'), 'packed-malformed'],
  ['JSON', Buffer.from('{"id":"e1"}'), 'packed-malformed'],
  ['the magic alone', Buffer.from('CSPK'), 'packed-malformed'],
  ['another version, and nothing else', Buffer.from('CSPK\u0002'), 'unknown-version'],
  ['another version, and a wrong checksum', withByte(4, 0), 'unknown-version'],
  ['no checksum', Buffer.from('CSPK\u0001abc'), 'packed-malformed'],
  ['a wrong checksum', withByte(12, 0x64), 'packed-checksum'],
  ['no body', sealBody(Buffer.alloc(0)), 'packed-malformed'],
  ['as it should be', plain(), 'ok'],
  ['a byte too many', sealBody(body(...PLAIN, 0)), 'packed-malformed'],
  ['a byte too few', sealBody(body(...PLAIN.slice(0, -1))), 'packed-malformed'],
  ['over 1 MiB', sealBody(Buffer.alloc(PACKED_LIMITS.valueBytesMax)), 'packed-malformed'],
])('a value that is %s', (_what, value, reason) => {
  expect(reasonOf(value)).toBe(reason)
})

const C = [1, 1, 'c'] as const
const S = [1, 0, 1, 'k'] as const
const RAW = [1, 1, 0, 1, 'i'] as const
const END = [0, 0, 0] as const

test.each([
  ['no events', [0, 0, 0, 0, 0, 0], 'packed-malformed'],
  ['16,385 events', [0x81, 0x80, 1, 0, 0, 0, 0], 'packed-malformed'],
  [
    'a base after year 9999',
    [1, 0x80, 0x80, 0xba, 0xc5, 0x88, 0xcf, 0x39, ...C, ...S, 0, ...RAW, ...END],
    'packed-malformed',
  ],
  ['no counters', [...HEAD, 0, ...S, 0, ...RAW, ...END], 'packed-malformed'],
  ['a series that is none', [...HEAD, ...C, ...S, 0, ...RAW, 1, 0, 0], 'packed-malformed'],
  ['a counter of no UTF-8', [...HEAD, 1, 1, 0xff, ...S, 0, ...RAW, ...END], 'packed-malformed'],
  ['an empty counter', [...HEAD, 1, 0, ...S, 0, ...RAW, ...END], 'bad-counter'],
  ['an empty key', [...HEAD, ...C, 1, 0, 0, 0, ...RAW, ...END], 'bad-key'],
  ['U+0000 in the key', [...HEAD, ...C, 1, 0, 1, 0, 0, ...RAW, ...END], 'bad-key'],
  ['an empty id', [...HEAD, ...C, ...S, 0, 1, 1, 0, 0, ...END], 'bad-id'],
  ['a first id that shares', [...HEAD, ...C, ...S, 0, 1, 1, 1, 0, ...END], 'packed-malformed'],
  [
    'a block of an unknown kind',
    [...HEAD, ...C, ...S, 0, 2, 1, 0, 1, 'i', ...END],
    'packed-malformed',
  ],
  ['an empty block', [...HEAD, ...C, ...S, 0, 1, 0, ...RAW, ...END], 'packed-malformed'],
  [
    'a block of too many',
    [...HEAD, ...C, ...S, 0, 1, 2, 0, 1, 'i', 0, 1, 'j', ...END],
    'packed-malformed',
  ],
  ['a range', [...HEAD, ...C, ...S, 0, 0, SESSION, 5, 7, 1, ...END], 'ok'],
  [
    'a range of a wrong session',
    [...HEAD, ...C, ...S, 0, 0, `M${SESSION.slice(1)}`, 5, 7, 1, ...END],
    'packed-malformed',
  ],
  [
    'a range that ends beyond 2^53',
    [
      2,
      0,
      ...C,
      ...S,
      0,
      0,
      SESSION,
      0,
      0xff,
      0xff,
      0xff,
      0xff,
      0xff,
      0xff,
      0xff,
      0x0f,
      2,
      0,
      0,
      0,
      0,
      0,
    ],
    'packed-malformed',
  ],
  [
    'a lane of 2^31',
    [...HEAD, ...C, ...S, 0, 0, SESSION, 0x80, 0x80, 0x80, 0x80, 8, 0, 1, ...END],
    'packed-malformed',
  ],
  ['dims', [...HEAD, ...C, ...S, 1, 1, 1, 'a', 0, ...RAW, 0, 1, 0, 0], 'ok'],
  ['no dims where others have', [...HEAD, ...C, ...S, 1, 1, 1, 'a', 0, ...RAW, 0, 0, 0, 0], 'ok'],
  [
    'a dimset that is none',
    [...HEAD, ...C, ...S, 1, 1, 1, 'a', 0, ...RAW, 0, 2, 0, 0],
    'packed-malformed',
  ],
  ['a dimset of nothing', [...HEAD, ...C, ...S, 1, 0, ...RAW, 0, 1, 0, 0], 'packed-malformed'],
  ['a dim without a name', [...HEAD, ...C, ...S, 1, 1, 0, 0, ...RAW, 0, 1, 0, 0], 'bad-dims'],
  ['a bad dimset that nobody has', [...HEAD, ...C, ...S, 1, 1, 0, 0, ...RAW, 0, 0, 0, 0], 'ok'],
  [
    'names out of order',
    [...HEAD, ...C, ...S, 1, 2, 1, 'b', 0, 1, 'a', 0, ...RAW, 0, 1, 0, 0],
    'packed-malformed',
  ],
  [
    'a name twice',
    [...HEAD, ...C, ...S, 1, 2, 1, 'a', 0, 1, 'a', 0, ...RAW, 0, 1, 0, 0],
    'packed-malformed',
  ],
  [
    'names in order of code units, not of bytes',
    [...HEAD, ...C, ...S, 1, 2, 4, '\u{1f600}', 0, 3, '\uffee', 0, ...RAW, 0, 1, 0, 0],
    'ok',
  ],
  [
    'names in order of bytes, not of code units',
    [...HEAD, ...C, ...S, 1, 2, 3, '\uffee', 0, 4, '\u{1f600}', 0, ...RAW, 0, 1, 0, 0],
    'packed-malformed',
  ],
  ['at -1', [...HEAD, ...C, ...S, 0, ...RAW, 0, 1, 0], 'bad-at'],
  ['deltas of an unknown kind', [...HEAD, ...C, ...S, 0, ...RAW, 0, 0, 2], 'packed-malformed'],
  ['a listed delta', [...HEAD, ...C, ...S, 0, ...RAW, 0, 0, 1, 1], 'ok'],
  [
    'a varint that is longer than it has to be',
    [...HEAD, ...C, ...S, 0x80, 0, ...RAW, ...END],
    'ok',
  ],
  [
    'a varint of 9 bytes',
    [...HEAD, ...C, ...S, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, ...RAW, ...END],
    'packed-malformed',
  ],
  [
    'a length of 2^53 - 1',
    [...HEAD, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 'c'],
    'packed-malformed',
  ],
] as const)('a body with %s', (_what, parts, reason) => {
  expect(reasonOf(sealBody(body(...parts)))).toBe(reason)
})

test('an id of the greatest length, and one of a byte more', () => {
  const writer = new PackedWriter()
  for (const length of [255, 256, 257]) {
    writer.addRaw('i'.repeat(length), 'c', 'k', undefined, 0, 1)
  }
  expect(reasonOf(writer.finish())).toBe('ok ok bad-id')
})

test('the reason of an event is the first that JSON would give', () => {
  const writer = new PackedWriter()
  writer.addRaw('first', 'c', 'k', undefined, 0, 1)
  writer.addRaw('', ' ', '', new Map([['', '']]), -5, 1)
  writer.addRaw('i', 'c', '', new Map([['', '']]), -5, 1)
  expect(reasonOf(writer.finish())).toBe('ok bad-id bad-key')
  expect(checkEvent({ id: '', counter: ' ' })).toEqual({ ok: false, reason: 'bad-id' })
})
