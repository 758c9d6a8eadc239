import { expect, test } from 'vitest'
import { eventJsonLine, eventLine, type Place } from './cat-lines.ts'

const plain = (_style: string, text: string): string => text
const AT = Date.UTC(2025, 0, 31, 12)
const place: Place = { partition: 3, offset: 17, index: 0, timestampMs: AT + 5, encoding: 'json' }
const event = { id: 'e1', counter: 'views', key: 'v1', delta: 1, at: AT }

test('an event is a line with its place, time, encoding, series, delta, id and dims', () => {
  expect(eventLine(place, { ok: true, event }, plain)).toBe(
    '3:17  2025-01-31T12:00:00.000Z  json  views/v1  +1  e1',
  )
  const dims = new Map([['country', 'de']])
  const packed: Place = { ...place, index: 2, encoding: 'packed' }
  expect(eventLine(packed, { ok: true, event: { ...event, delta: -5, dims } }, plain)).toBe(
    '3:17.2  2025-01-31T12:00:00.000Z  packed  views/v1  -5  e1  country=de',
  )
})

test('an invalid one has its reason', () => {
  expect(eventLine(place, { ok: false, reason: 'null-value' }, plain)).toBe(
    '3:17  invalid  null-value (the record has no value)',
  )
})

test('what a stranger wrote cannot reach the terminal', () => {
  const evil = '\u001b[2J\n\u202e'
  const parsed = {
    ok: true as const,
    event: { ...event, id: evil, key: evil, counter: evil, dims: new Map([[evil, evil]]) },
  }
  expect(eventLine(place, parsed, plain)).not.toMatch(/[\p{Cc}\u202e]/u)
  const line = eventJsonLine(place, parsed)
  expect(line).not.toMatch(/[\p{Cc}\u202e]/u)
  expect(JSON.parse(line)).toMatchObject({ event: { id: evil, dims: { [evil]: evil } } })
})

test('as JSON', () => {
  expect(JSON.parse(eventJsonLine({ ...place, index: 1 }, { ok: true, event }))).toEqual({
    partition: 3,
    offset: 17,
    index: 1,
    timestamp: '2025-01-31T12:00:00.005Z',
    encoding: 'json',
    event,
  })
  const odd: Place = { ...place, timestampMs: 1e300, encoding: undefined }
  expect(JSON.parse(eventJsonLine(odd, { ok: false, reason: 'bad-record' }))).toMatchObject({
    timestamp: null,
    encoding: null,
    reason: 'bad-record',
  })
})
