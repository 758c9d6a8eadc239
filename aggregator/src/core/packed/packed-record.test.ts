import { parsePacked } from '@countersink/shared/packed/packed-reader'
import { sealBody } from '@countersink/shared/packed/packed-samples'
import { expect, test } from 'vitest'
import { PackedRecord } from './packed-record.ts'
import { packedEventText } from './packed-text.ts'

const SESSION = [...Buffer.from('0mchx2z1aAZaz09_-AZaz09_A')]
const text = (of: string): number[] => [Buffer.byteLength(of), ...Buffer.from(of)]
const MAX_SAFE_VARINT = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]

/** The sections of a body with two events, some of them others than usual. */
function bodyOf(other: Partial<Record<keyof typeof USUAL, number[]>>): Buffer {
  return Buffer.from(Object.values({ ...USUAL, ...other }).flat())
}

const USUAL = {
  count: [2],
  base: [100],
  counters: [1, ...text('views')],
  series: [1, 0, ...text('k')],
  dimsets: [1, 2, ...text('a'), ...text('x'), ...text('b'), ...text('y')],
  ids: [0, ...SESSION, 3, 7, 1, 1, 1, 0, ...text('raw')],
  seriesColumn: [0, 0],
  dimsColumn: [1, 0],
  ats: [0, 2],
  deltas: [1, 4, 1],
}

function reasonOf(body: Buffer): string | undefined {
  const value = sealBody(body)
  const reason = new PackedRecord().read(value, 0, value.length)
  const parsed = parsePacked(value)
  expect(reason).toBe(parsed.ok ? undefined : parsed.reason)
  return reason
}

test('a body as it should be is read, and told as JSON', () => {
  expect(reasonOf(bodyOf({}))).toBeUndefined()
  const value = sealBody(bodyOf({}))
  const record = new PackedRecord()
  record.read(value, 0, value.length)
  expect([0, 1].map((event) => JSON.parse(packedEventText(record, event)) as unknown)).toEqual([
    {
      ...{ id: `${Buffer.from(SESSION).toString()}.3.7`, counter: 'views', key: 'k' },
      ...{ delta: 2, at: 100, dims: { a: 'x', b: 'y' } },
    },
    { id: 'raw', counter: 'views', key: 'k', delta: -1, at: 101 },
  ])
})

test('what is shared with the id before is a part of this one, for better or worse', () => {
  const ids = [1, 2, 0, ...text('a\0b'), 2, ...text('c'), 1, 2, 1, ...text('b'), 0, 0xac, 2]
  const more = [...Buffer.alloc(300, 'i'), 1, 2, 0x80, 2, 0, 0xff, 1, ...text('é')]
  const body = bodyOf({
    ...{ count: [6], ids: [...ids, ...more], seriesColumn: Array<number>(6).fill(0) },
    ...{ dimsets: [0], dimsColumn: [], ats: Array<number>(6).fill(0), deltas: [0] },
  })
  expect(reasonOf(body)).toBeUndefined()
  const value = sealBody(body)
  const parsed = parsePacked(value)
  const record = new PackedRecord()
  record.read(value, 0, value.length)
  const isBad = [...record.ids.isBad.subarray(0, 6)]
  expect(isBad).toEqual(parsed.ok ? parsed.events.map((event) => (event.ok ? 0 : 1)) : [])
  expect(isBad).toEqual([1, 1, 0, 1, 0, 1])
})

test.each<[string, Partial<Record<keyof typeof USUAL, number[]>>]>([
  [
    'no event at all',
    {
      ...{ count: [0], dimsets: [0], ids: [], seriesColumn: [], dimsColumn: [], ats: [] },
      deltas: [0],
    },
  ],
  ['one name twice in a set of dims', { dimsets: [1, 2, ...text('a'), 0, ...text('a'), 0] }],
  ['names that descend', { dimsets: [1, 2, ...text('b'), 0, ...text('a'), 0] }],
  ['a set without dims', { dimsets: [1, 0] }],
  [
    'a set of 17 dims',
    { dimsets: [1, 17, ...Array.from({ length: 17 }, (_, i) => [1, 65 + i, 0])].flat() },
  ],
  ['a counter that is not there', { series: [1, 1, ...text('k')] }],
  ['a series that is not there', { seriesColumn: [0, 1] }],
  ['dims that are not there', { dimsColumn: [2, 0] }],
  ['a range of none', { ids: [0, ...SESSION, 3, 7, 0, 1, 2, 0, 1, 97, 0, 1, 98] }],
  ['a range of too many', { ids: [0, ...SESSION, 3, 7, 3] }],
  ['a sequence past 2^53', { ids: [0, ...SESSION, 3, ...MAX_SAFE_VARINT, 2] }],
  ['a lane past 2^31', { ids: [0, ...SESSION, 0x80, 0x80, 0x80, 0x80, 8, 7, 2] }],
  ['a session that is none', { ids: [0, ...SESSION.toReversed(), 3, 7, 2] }],
  ['more shared than there is', { ids: [1, 2, 0, ...text('a'), 2, 0] }],
  ['257 bytes shared', { ids: [1, 2, 0, 0xac, 2, ...Buffer.alloc(300, 'i'), 0x81, 2, 0] }],
  ['an unknown kind of ids', { ids: [2, 2, 0, ...text('a'), 0, 0] }],
  ['an unknown mode of deltas', { deltas: [2] }],
  ['a delta past 2^53', { deltas: [1, 4, ...Array.from({ length: 7 }, () => 0xff), 0x7f] }],
  ['a varint of nine bytes', { base: [...Array.from({ length: 8 }, () => 0x80), 0] }],
  ['a time past 2^53', { ats: [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 2] }],
  ['one before -2^53', { ats: [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x8f, 3] }],
  ['bytes left over', { deltas: [0, 0] }],
])('malformed: %s', (_what, other) => {
  expect(reasonOf(bodyOf(other))).toBe('packed-malformed')
})
