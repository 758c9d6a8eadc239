import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBufferRoom, type Guest } from './buffer-room.ts'

const BOUNDS = { bufferBytesMax: 100, bufferEventsMax: 3, waitingEventsMax: 2 }

function pendingOf(bytes: number): Guest {
  return { bytes, events: 1 }
}

test('events are let in up to the bounds, then wait, then are refused', () => {
  const admitted: Guest[] = []
  const room = createBufferRoom(BOUNDS, (pending) => admitted.push(pending))
  const all = [40, 40, 40, 1, 1].map(pendingOf)
  expect(all.map((pending) => room.enter(pending))).toEqual([true, true, true, true, false])
  expect(admitted).toEqual(all.slice(0, 2))
  expect([room.events, room.bytes, room.waiting]).toEqual([2, 80, 2])
  room.release(40, 1)
  expect(admitted).toEqual(all.slice(0, 4))
  expect([room.events, room.bytes, room.waiting]).toEqual([3, 81, 0])
})

test('a small event never overtakes a large one that waits', () => {
  const admitted: number[] = []
  const room = createBufferRoom(BOUNDS, (pending) => admitted.push(pending.bytes))
  for (const bytes of [60, 60, 1]) room.enter(pendingOf(bytes))
  expect(admitted).toEqual([60])
  room.release(60, 1)
  expect(admitted).toEqual([60, 60, 1])
})

test('an event larger than the whole buffer is let in alone', () => {
  const admitted: number[] = []
  const room = createBufferRoom(BOUNDS, (pending) => admitted.push(pending.bytes))
  for (const bytes of [10, 500]) room.enter(pendingOf(bytes))
  expect(admitted).toEqual([10])
  room.release(10, 1)
  expect(admitted).toEqual([10, 500])
})

test('giving up one that waits lets in those behind it', () => {
  const admitted: number[] = []
  const room = createBufferRoom(BOUNDS, (pending) => admitted.push(pending.bytes))
  const large = pendingOf(90)
  room.enter(pendingOf(20))
  room.enter(large)
  room.enter(pendingOf(1))
  expect(room.head()).toBe(large)
  room.abandon(large)
  expect(admitted).toEqual([20, 1])
})

test('free() resolves when an event would be let in, also at close', async () => {
  const room = createBufferRoom({ ...BOUNDS, bufferEventsMax: 1 }, () => undefined)
  await room.free()
  const first = pendingOf(1)
  room.enter(first)
  let free = false
  const waiting = room.free().then(() => (free = true))
  await new Promise(setImmediate)
  expect(free).toBe(false)
  room.release(1, 1)
  await waiting
  room.enter(pendingOf(1))
  const closing = room.free()
  expect(room.close()).toEqual([])
  await closing
})

test('I12: under any use the bounds hold, the order is kept, and nothing is lost', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 60 })
  const releases = fc.array(fc.nat(), { maxLength: 60 })
  fc.assert(
    fc.property(sizes, releases, (entering, leaving) => {
      const admitted: Guest[] = []
      const inside: Guest[] = []
      const room = createBufferRoom({ ...BOUNDS, waitingEventsMax: 1000 }, (pending) => {
        admitted.push(pending)
        inside.push(pending)
      })
      const all = entering.map(pendingOf)
      all.forEach((pending, i) => {
        room.enter(pending)
        const place = leaving[i]
        const [left] = place === undefined ? [] : inside.splice(place % (inside.length || 1), 1)
        if (left !== undefined) room.release(left.bytes, left.events)
        expect(room.events).toBeLessThanOrEqual(BOUNDS.bufferEventsMax)
        expect(room.bytes).toBeLessThanOrEqual(BOUNDS.bufferBytesMax)
      })
      for (let left = inside.shift(); left !== undefined; left = inside.shift())
        room.release(left.bytes, left.events)
      expect(admitted).toEqual(all)
      expect([room.events, room.bytes, room.waiting]).toEqual([0, 0, 0])
    }),
  )
})
