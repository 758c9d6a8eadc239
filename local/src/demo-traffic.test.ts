import { expect, test } from 'vitest'
import { createDemoTraffic, type DemoEvent } from './demo-traffic.ts'

/** Numerical Recipes' generator: the same draws at each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const EVENTS = 20_000
const all = (() => {
  const traffic = createDemoTraffic(seeded(1), 's')
  return Array.from({ length: EVENTS }, (_, index) => traffic.next(1_000_000 + index))
})()

test('every tenth event or so is a retry with the same content, all others have new ids', () => {
  const byId = new Map<string, DemoEvent>()
  for (const { event, isRetry } of all) {
    expect(byId.has(event.id)).toBe(isRetry)
    expect(event).toEqual(byId.get(event.id) ?? event)
    byId.set(event.id, structuredClone(event))
  }
  const retries = all.filter(({ isRetry }) => isRetry).length
  expect(retries / EVENTS).toBeGreaterThan(0.08)
  expect(retries / EVENTS).toBeLessThan(0.12)
})

test('views and likes come mixed, and few keys get most', () => {
  const views = all.filter(({ event }) => event.counter === 'video_views')
  const likes = all.filter(({ event }) => event.counter === 'likes')
  expect(views.length + likes.length).toBe(EVENTS)
  expect(likes.length / EVENTS).toBeCloseTo(0.25, 1)
  const inFirstEighth = views.filter(({ event }) => Number(event.key.slice(2)) < 125).length
  expect(inFirstEighth / views.length).toBeCloseTo(0.5, 1)
  expect(new Set(likes.map(({ event }) => event.delta))).toEqual(new Set([1, -1]))
})
