import type { EventInput } from '@countersink/shared/event'
import type { Delivered, ProducerRecord } from '@countersink/shared/kafka/producer'
import { createLogger } from '@countersink/shared/log'
import { type Moment, Router } from '@countersink/shared/router'
import { emptyRoutingTable, ROUTING_TIMES } from '@countersink/shared/routing-table'
import { expect, test } from 'vitest'
import { BulkCall } from './bulk-call.ts'
import { createDispatcher } from './dispatcher.ts'
import { EventIntake, NOT_ROUTED } from './event-intake.ts'
import { PendingEvent } from './pending-event.ts'
import { createRecordEncoder } from './record-encoder.ts'
import { SessionIds } from './session-ids.ts'

const START = 1_700_000_000_000
const TIMEOUT_MS = 60_000

/** A producer's inside, whose routing was looked at once, and whose broker takes everything. */
function createBed() {
  let now: Moment = { wallMs: START, monotonicMs: 0 }
  const router = new Router(() => now)
  const look = (): void => router.update(emptyRoutingTable('topic'), 4, now)
  look()
  const ids = new SessionIds(START)
  const intake = new EventIntake(ids, router, undefined)
  const counts = { records: 0, added: 0, invalid: 0 }
  const dispatcher = createDispatcher({
    bufferEventsMax: 1000,
    bufferBytesMax: 1_000_000,
    batchBytesMax: 100_000,
    waitingEventsMax: 1000,
    topic: 't',
    ids,
    lingerMs: 0,
    encode: createRecordEncoder('packed', ids, 100_000),
    onLeave: () => undefined,
    send(_partition: number, records: readonly ProducerRecord[]): Promise<Delivered> {
      counts.records += records.length
      return Promise.resolve({ baseOffset: counts.records, logAppendTimeMs: START })
    },
    logger: createLogger('test', 'silent'),
  })
  const port = {
    ...dispatcher,
    topic: 't',
    intake,
    ids,
    now: () => now.wallMs,
    addSingle: undefined,
    onAdded: (events: number) => void (counts.added += events),
    onInvalid: () => void counts.invalid++,
  }
  return {
    intake,
    dispatcher,
    counts,
    look,
    pass(ms: number): void {
      now = { wallMs: now.wallMs + ms, monotonicMs: now.monotonicMs + ms }
    },
    addMany(list: readonly EventInput[], timeoutMs = TIMEOUT_MS) {
      const call = new BulkCall(list, port, performance.now() + timeoutMs)
      dispatcher.addCall(call)
      return call.promise
    },
  }
}

const events = (at: number): EventInput[] => [
  { counter: 'views', key: 'made', at },
  { id: 'a', counter: 'views', key: 'k', at },
  { id: 'b', counter: 'views', key: 'k', at },
]

test('events with ids wait while the routing is too old, those behind them too, and go by themselves', async () => {
  const bed = createBed()
  bed.pass(ROUTING_TIMES.leaseMs + 1)
  const at = START + ROUTING_TIMES.leaseMs
  expect(bed.intake.read({ id: 'a', counter: 'views', key: 'k', at }, at)).toBe(NOT_ROUTED)
  expect(bed.intake.read({ counter: 'views', key: 'k', at }, at)).toBeUndefined()
  const behind = new PendingEvent(bed.intake, 100, performance.now() + TIMEOUT_MS)
  const call = bed.addMany(events(at))
  bed.dispatcher.add(behind)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect(bed.dispatcher.stats()).toMatchObject({ waitingEvents: 2 })
  bed.look()
  bed.dispatcher.again()
  const receipt = await call
  expect(receipt).toMatchObject({ delivered: 3, invalid: [], undelivered: [] })
  await behind.promise
  expect(bed.dispatcher.stats()).toMatchObject({ waitingEvents: 0, delivered: 4, undelivered: 0 })
})

test('what is from before the last look goes, however old that is', async () => {
  const bed = createBed()
  bed.pass(10 * ROUTING_TIMES.leaseMs)
  expect(await bed.addMany(events(START))).toMatchObject({ delivered: 3 })
})

test('who waits past its deadline gets its events back, to be added again', async () => {
  const bed = createBed()
  bed.pass(ROUTING_TIMES.leaseMs + 1)
  const at = START + ROUTING_TIMES.leaseMs
  const receipt = await bed.addMany(events(at), 1)
  expect(receipt).toMatchObject({ delivered: 1, invalid: [] })
  expect(receipt.undelivered.map(({ index, retryable }) => [index, retryable])).toEqual([
    [1, true],
    [2, true],
  ])
  expect(receipt.undelivered[0]?.event).toEqual({ ...events(at)[1], delta: 1 })
  expect(bed.counts).toMatchObject({ added: 3, invalid: 0 })
})
