import { inspect } from 'node:util'
import { CountersinkError } from '@countersink/shared/errors'
import type { CountEvent, EventInput } from '@countersink/shared/event'
import type { Delivered, ProducerRecord } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { parsePacked } from '@countersink/shared/packed/packed-reader'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BulkCall } from './bulk-call.ts'
import type { BulkReceipt } from './bulk-receipt.ts'
import { createDispatcher, type Dispatcher } from './dispatcher.ts'
import { EventIntake } from './event-intake.ts'
import { bytesOf, PendingEvent } from './pending-event.ts'
import { createRecordEncoder } from './record-encoder.ts'
import { routerOf } from './router-samples.ts'
import { SessionIds } from './session-ids.ts'

const NOW = 1_700_000_000_000
const PARTITIONS = 3
const TIMEOUT_MS = 60_000

type Fate = 'written' | 'lost' | 'unknown-place' | 'refused'

/** A dispatcher whose broker is a list: what happens to each batch comes from `fates`. */
function createBed(fates: Fate[], bounds: { bufferEventsMax: number; batchBytesMax: number }) {
  const ids = new SessionIds(NOW)
  const intake = new EventIntake(ids, routerOf(PARTITIONS, NOW), undefined)
  const log: ProducerRecord[][] = Array.from({ length: PARTITIONS }, () => [])
  const batchBytes: number[] = []
  let sends = 0

  async function send(partition: number, records: readonly ProducerRecord[]): Promise<Delivered> {
    const fate = fates[sends++] ?? 'written'
    const own = log[partition] ?? []
    const baseOffset = own.length
    if (fate === 'lost')
      throw new CountersinkError('KAFKA_UNAVAILABLE', 'lost', { retryable: true })
    if (fate === 'refused') throw new CountersinkError('KAFKA_REFUSED', 'refused')
    own.push(...records)
    batchBytes.push(records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0))
    await new Promise(setImmediate)
    return { baseOffset: fate === 'unknown-place' ? -1 : baseOffset, logAppendTimeMs: NOW }
  }

  const dispatcher: Dispatcher = createDispatcher({
    ...bounds,
    bufferBytesMax: 1_000_000,
    waitingEventsMax: 1000,
    topic: 't',
    ids,
    lingerMs: 0,
    encode: createRecordEncoder('packed', ids, bounds.batchBytesMax),
    onLeave: () => undefined,
    send,
    logger: createLogger('test', 'silent'),
  })
  const port = {
    ...dispatcher,
    topic: 't',
    intake,
    ids,
    now: () => NOW,
    addSingle: undefined,
    onAdded: () => undefined,
    onInvalid: () => undefined,
  }

  function call(list: readonly EventInput[], timeoutMs = TIMEOUT_MS): BulkCall {
    const made = new BulkCall(list, port, performance.now() + timeoutMs)
    dispatcher.addCall(made)
    return made
  }

  return {
    dispatcher,
    /** Of the values of each batch that was written. */
    batchBytes,
    add(input: EventInput) {
      expect(intake.read(input, NOW)).toBeUndefined()
      const pending = new PendingEvent(intake, bytesOf(intake), performance.now() + TIMEOUT_MS)
      dispatcher.add(pending)
      return pending.promise
    },
    call,
    addMany: (list: readonly EventInput[], timeoutMs?: number): Promise<BulkReceipt> =>
      call(list, timeoutMs).promise,
    /** The key of the event at a place, which is one of a kind in these tests. */
    keyAt(partition: number, offset: number, index: number): string | undefined {
      const event = read(log[partition]?.[offset])[index]
      return event?.key
    },
    events: (): CountEvent[] => log.flatMap((records) => records.flatMap(read)),
  }
}

function read(record: ProducerRecord | undefined): CountEvent[] {
  const parsed = parsePacked(record?.value ?? Buffer.alloc(0))
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.events.map((one) => {
    if (!one.ok) throw new Error(one.reason)
    return one.event
  })
}

const fate = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Fate>('written') },
  fc.constantFrom<Fate>('lost', 'unknown-place', 'refused'),
)

test('each event is settled once, whatever happens, and is where its receipt says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 6 }),
      fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 60 })), { maxLength: 12 }),
      fc.constantFrom(1, 10, 1000),
      fc.constantFrom(60, 400, 100_000),
      async (fates, calls, bufferEventsMax, batchBytesMax) => {
        const bed = createBed(fates, { bufferEventsMax, batchBytesMax })
        const settled: string[] = []
        const back: EventInput[] = []
        let made = 0
        const next = (i: number): EventInput => {
          const counter = i % 5 === 0 ? 'b' : 'a'
          const id = i % 4 === 0 ? { id: `own-${made}`, at: NOW } : {}
          return { ...id, counter, key: `k${made++}` }
        }
        const check = (key: string | undefined, found: string | undefined): void => {
          expect(found).toBe(key)
          settled.push(key ?? '')
        }
        const adding = calls.map(async (size) => {
          if (size === 1) {
            const input = next(1)
            const result = await bed.add(input).catch((error: unknown) => error)
            if (result instanceof Error) {
              back.push(Reflect.get(result, 'event') as EventInput)
              settled.push(input.key)
              return
            }
            const { partition, offset, index } = result as Awaited<ReturnType<typeof bed.add>>
            check(input.key, bed.keyAt(partition, offset, index))
            return
          }
          const list = Array.from({ length: size }, (_, i) => next(i))
          const receipt = await bed.addMany(list)
          expect(receipt.delivered + receipt.undelivered.length).toBe(size)
          for (const { index, event } of receipt.undelivered) {
            expect(event.key).toBe(list[index]?.key)
            back.push(event)
            settled.push(event.key)
          }
          list.forEach(({ key }, i) => {
            const found = receipt.receipt(i)
            if (found === undefined) return
            check(key, bed.keyAt(found.partition, found.offset, found.index))
          })
        })
        await Promise.all(adding)
        await bed.dispatcher.flush()
        bed.dispatcher.close()
        expect(settled.length).toBe(made)
        expect(new Set(settled).size).toBe(made)
        expect(bed.dispatcher.stats()).toMatchObject({ bufferedEvents: 0, bufferedBytes: 0 })
        // What came back can be told from all else, and from nothing that is the same event.
        expect(back.every(({ id, at }) => id !== undefined && at === NOW)).toBe(true)
        const events: Pick<EventInput, 'id' | 'key'>[] = [...bed.events(), ...back]
        const keyOfId = new Map(events.map(({ id, key }) => [id, key]))
        expect(events.every(({ id, key }) => keyOfId.get(id) === key)).toBe(true)
        expect(new Set(keyOfId.values()).size).toBe(made)
      },
    ),
    { numRuns: 60 },
  )
}, 60_000)

test('I12: a record that several lists wrote to joins a batch only if all of it has room', async () => {
  const bytesMax = 5000
  const bed = createBed([], { bufferEventsMax: 1000, batchBytesMax: bytesMax })
  let made = 0
  const events = (count: number): EventInput[] =>
    Array.from({ length: count }, () => {
      const id = String(made++).padStart(200, '0').split('').toReversed().join('')
      return { counter: 'a', key: 'k', id, at: NOW }
    })
  // While the first is on its way the others gather.
  const added = events(15).map((event) => bed.add(event))
  const lists = [2, 18].map((count) => bed.addMany(events(count)))
  await Promise.all([...added, ...lists])
  expect(bed.events()).toHaveLength(35)
  expect(bed.batchBytes.length).toBeGreaterThan(1)
  expect(Math.max(...bed.batchBytes)).toBeGreaterThan(bytesMax / 2)
  expect(Math.max(...bed.batchBytes)).toBeLessThanOrEqual(bytesMax)
  bed.dispatcher.close()
})

test('a record that several lists wrote to is sent once, though it is larger than a batch may be', async () => {
  const bed = createBed([], { bufferEventsMax: 10_000, batchBytesMax: 400 })
  let made = 0
  const lists = Array.from({ length: 60 }, (_, i) => {
    const events = Array.from({ length: 10 + (i % 11) }, () => {
      return { counter: 'a', key: 'k', id: `id-${made++}`, at: NOW }
    })
    return bed.addMany(events)
  })
  const receipts = await Promise.all(lists)
  expect(receipts.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(made)
  expect(bed.events()).toHaveLength(made)
  bed.dispatcher.close()
})

test('an invalid event of a list is told by its place, the others are sent', async () => {
  const bed = createBed([], { bufferEventsMax: 10, batchBytesMax: 10_000 })
  const list = [
    { counter: 'a', key: 'k0' },
    { counter: 'a', key: '' },
    null,
    { counter: 'a', key: 'k3' },
  ]
  const receipt = await bed.addMany(list as EventInput[])
  expect(receipt.invalid).toEqual([
    { index: 1, reason: 'bad-key' },
    { index: 2, reason: 'not-an-object' },
  ])
  expect([receipt.delivered, receipt.undelivered]).toEqual([2, []])
  const { position } = receipt
  expect(JSON.parse(JSON.stringify(receipt))).toMatchObject({ delivered: 2, position })
  expect(inspect(receipt)).toContain(`position: '${position}'`)
  expect(receipt.receipt(1)).toBeUndefined()
  expect(
    bed
      .events()
      .map(({ key }) => key)
      .toSorted(),
  ).toEqual(['k0', 'k3'])
  bed.dispatcher.close()
})

test('what a list could not be taken over of, and what was not sent in time, comes back', async () => {
  const fates = Array.from<Fate>({ length: 100 }).fill('lost')
  const bed = createBed(fates, { bufferEventsMax: 4, batchBytesMax: 10_000 })
  const list = Array.from({ length: 20 }, (_, i) => ({ counter: 'a', key: `k${i}` }))
  const receipt = await bed.addMany(list, 150)
  expect(receipt.delivered).toBe(0)
  expect(receipt.undelivered.map(({ index, event }) => [index, event.key])).toEqual(
    list.map(({ key }, i) => [i, key]),
  )
  expect(new Set(receipt.undelivered.map(({ event }) => event.id)).size).toBe(20)
  expect(bed.dispatcher.stats()).toMatchObject({ bufferedEvents: 0, undelivered: 20 })
  bed.dispatcher.close()
})

test('I12: a list far larger than the buffer never has more in it than its bound', async () => {
  const bed = createBed([], { bufferEventsMax: 50, batchBytesMax: 300 })
  const list = Array.from({ length: 5_000 }, (_, i) => ({ counter: 'a', key: `k${i}` }))
  let most = 0
  const looking = setInterval(() => {
    most = Math.max(most, bed.dispatcher.stats().bufferedEvents)
  }, 0)
  const adding = bed.addMany(list)
  most = Math.max(most, bed.dispatcher.stats().bufferedEvents)
  expect(bed.dispatcher.stats()).toMatchObject({ bufferedEvents: 50, waitingEvents: 1 })
  expect((await adding).delivered).toBe(5_000)
  clearInterval(looking)
  expect(most).toBe(50)
  bed.dispatcher.close()
})

test('a list that is given up is told of at once, and what had not left is not in the log', async () => {
  const bed = createBed([], { bufferEventsMax: 10, batchBytesMax: 10_000 })
  const list = Array.from({ length: 30 }, (_, i) => ({ counter: 'a', key: `k${i}` }))
  const call = bed.call(list)
  bed.dispatcher.abandon(call, 'enough')
  const receipt = await call.promise
  expect(receipt.undelivered.map(({ index }) => index)).toEqual(list.map((_, i) => i))
  await bed.add({ counter: 'a', key: 'after' })
  const left = ['after', ...list.slice(0, 10).map(({ key }) => key)]
  expect(bed.events().filter(({ key }) => !left.includes(key))).toEqual([])
  expect(bed.events().some(({ key }) => key === 'after')).toBe(true)
  bed.dispatcher.close()
})
