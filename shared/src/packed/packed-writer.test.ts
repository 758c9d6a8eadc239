import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PACKED_LIMITS } from './packed-format.ts'
import { parsePacked } from './packed-reader.ts'
import { PackedWriter } from './packed-writer.ts'
import { addSample, sampleEvent } from './packed-samples.ts'

const SESSION = 'abcdefgh0ABCDEFGHIJKLMN-_'

test('any valid events come back as they were', () => {
  const writer = new PackedWriter()
  fc.assert(
    fc.property(fc.array(sampleEvent, { minLength: 1, maxLength: 60 }), (events) => {
      for (const event of events) addSample(writer, event)
      expect(writer.count).toBe(events.length)
      const bound = writer.byteLength
      const value = writer.finish()
      expect(value.length).toBeLessThanOrEqual(bound)
      expect(writer.count).toBe(0)
      expect(parsePacked(value)).toEqual({
        ok: true,
        events: events.map(({ event }) => ({ ok: true, event })),
      })
    }),
    { numRuns: 1000 },
  )
})

test('an event never adds more than its bound', () => {
  fc.assert(
    fc.property(fc.array(sampleEvent, { minLength: 1, maxLength: 20 }), (events) => {
      const writer = new PackedWriter()
      for (const event of events) {
        const before = writer.byteLength
        addSample(writer, event)
        expect(writer.byteLength - before).toBeLessThanOrEqual(PACKED_LIMITS.eventBytesMax)
      }
    }),
  )
})

test('plain events of one lane take few bytes', () => {
  const writer = new PackedWriter()
  for (let i = 0; i < 10_000; i++) {
    writer.addMade(SESSION, 0, i, 'views', `k${i % 100}`, undefined, 1_700_000_000_000 + i, 1)
  }
  const value = writer.finish()
  expect(value.length).toBeLessThan(10_000 * 2 + 1000)
  const parsed = parsePacked(value)
  expect(parsed.ok && parsed.events.length).toBe(10_000)
})

test('a full record, and one event too many', () => {
  const writer = new PackedWriter()
  const add = (i: number) => writer.addRaw(`id${i}`, 'c', `k${i}`, undefined, i, i)
  for (let i = 0; i < PACKED_LIMITS.eventsMax; i++) add(i)
  expect(() => add(0)).toThrow('full')
  const parsed = parsePacked(writer.finish())
  expect(parsed.ok && parsed.events.at(-1)).toEqual({
    ok: true,
    event: { id: 'id16383', counter: 'c', key: 'k16383', at: 16_383, delta: 16_383 },
  })
  expect(() => writer.finish()).toThrow('at least one event')
})

test('a break in the sequences begins another range', () => {
  const writer = new PackedWriter()
  const ids: [number, number][] = [
    [0, 5],
    [0, 6],
    [0, 8],
    [1, 9],
    [1, 10],
    [1, 10],
    [2 ** 31 - 1, 2 ** 53 - 1],
  ]
  for (const [lane, sequence] of ids) {
    writer.addMade(SESSION, lane, sequence, 'c', 'k', undefined, 7, 1)
  }
  const parsed = parsePacked(writer.finish())
  const found = parsed.ok ? parsed.events.map((one) => one.ok && one.event.id) : []
  expect(found).toEqual(ids.map(([lane, sequence]) => `${SESSION}.${lane}.${sequence}`))
})
