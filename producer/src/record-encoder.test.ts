import { type EventInput, inputOf, LIMITS } from '@countersink/shared/event'
import { parsePacked } from '@countersink/shared/packed/packed-reader'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventIntake } from './event-intake.ts'
import { createPartitionLane } from './partition-lane.ts'
import { bytesOf, PendingEvent } from './pending-event.ts'
import { createRecordEncoder, type EncodedBatch, type EventFormat } from './record-encoder.ts'
import { routerOf } from './router-samples.ts'
import { SessionIds } from './session-ids.ts'

const NOW = 1_700_000_000_000

function encode(format: EventFormat, inputs: readonly EventInput[], bytesMax = 100_000) {
  const ids = new SessionIds(NOW)
  const intake = new EventIntake(ids, routerOf(1, LIMITS.atMsMax), undefined)
  const pendings = inputs.map((input) => {
    expect(intake.read(input, NOW)).toBeUndefined()
    return new PendingEvent(intake, 1, 0)
  })
  return { pendings, ids, batch: createRecordEncoder(format, ids, bytesMax)(pendings) }
}

/** What each event was made to, by the place that it remembers. */
function eventsOf(batch: EncodedBatch, pendings: readonly PendingEvent[]): unknown[] {
  return pendings.map(({ recordNumber, index }) => {
    const value = batch.records[recordNumber]?.value ?? Buffer.alloc(0)
    if (batch.records[recordNumber]?.headers === undefined) return JSON.parse(String(value))
    const parsed = parsePacked(value)
    const one = parsed.ok ? parsed.events[index] : undefined
    return one?.ok === true ? inputOf(one.event) : undefined
  })
}

const inputs = fc.array(
  fc.record(
    {
      id: fc.string({ minLength: 1, maxLength: 20 }).filter((id) => !id.includes('\u0000')),
      counter: fc.constantFrom('a', 'b', 'ü'),
      key: fc.constantFrom('k', 'l', 'ß', 'x'.repeat(1000)),
      at: fc.integer({ min: 0, max: 2 * NOW }),
      delta: fc.maxSafeInteger(),
      dims: fc.constantFrom<Record<string, string>[]>({ a: 'b' }, { a: 'b', b: '' }),
    },
    { requiredKeys: ['counter', 'key', 'at'] },
  ),
  { minLength: 1, maxLength: 40 },
)

test.each(['packed', 'json'] as const)('every event is %s where it says that it is', (format) => {
  fc.assert(
    fc.property(inputs, fc.constantFrom(500, 100_000), (list, bytesMax) => {
      const { batch, pendings } = encode(format, list, bytesMax)
      expect(batch.pendings).toEqual(pendings.slice(0, batch.pendings.length))
      const sent = pendings.slice(0, batch.pendings.length)
      expect(sent.length).toBeGreaterThan(0)
      expect(eventsOf(batch, sent)).toEqual(sent.map((pending) => inputOf(pending.event())))
      const given = sent.map(({ id }, i) => ({ delta: 1, ...list[i], id: list[i]?.id ?? id }))
      expect(eventsOf(batch, sent)).toEqual(given)
    }),
  )
})

test('the made ids of each counter are one range, and its events keep their order', () => {
  const list = Array.from({ length: 300 }, (_, i) => {
    return { counter: `c${i % 3}`, key: 'k', at: NOW + i }
  })
  const { batch, pendings, ids } = encode('packed', list)
  const [record] = batch.records
  expect(batch.records).toHaveLength(1)
  expect(record?.value?.toString('latin1').split(ids.session)).toHaveLength(1 + 3)
  for (const name of ['c0', 'c1', 'c2']) {
    const own = pendings.filter((pending) => pending.lane.counter.name === name)
    const places = own.map((pending) => pending.index)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(own.map(({ id }) => id)).toEqual(
      own.map(({ lane }, i) => `${ids.session}.${lane.number}.${i}`),
    )
  }
})

test('a batch that turns out larger than it looked leaves its last events out', () => {
  const list = Array.from({ length: 10 }, () => ({ counter: 'c', key: '\u0001'.repeat(100) }))
  const { batch, pendings } = encode('json', list, 2000)
  expect(batch.pendings).toEqual(pendings.slice(0, 3))
  expect(pendings.map(({ id }) => id === undefined)).toEqual(list.map((_, i) => i >= 3))
})

test.each(['packed', 'json'] as const)(
  '%s events with dims leave in batches of the size asked for',
  (format) => {
    const ids = new SessionIds(NOW)
    const intake = new EventIntake(ids, routerOf(1, LIMITS.atMsMax), undefined)
    const bytesMax = 20_000
    const lane = createPartitionLane(0)
    for (let i = 0; i < 1000; i++) {
      const dims = Object.fromEntries(
        ['a', 'b', 'c'].map((name) => [name, `${i}`.padEnd(100, 'ü')]),
      )
      expect(intake.read({ counter: 'c', key: `k${i}`, dims }, NOW)).toBeUndefined()
      lane.push(new PendingEvent(intake, bytesOf(intake), 0))
    }
    const { records } = createRecordEncoder(format, ids, bytesMax)(lane.take(bytesMax))
    const bytes = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    expect(bytes).toBeGreaterThan(bytesMax / 2)
    expect(bytes).toBeLessThan(bytesMax * 1.1)
  },
)
