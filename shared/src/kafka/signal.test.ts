import { expect, test } from 'vitest'
import { createSignal } from './signal.ts'

test('a notify wakes the waiter long before its time', async () => {
  const signal = createSignal()
  const startedMs = performance.now()
  const waiting = signal.wait(60_000)
  signal.notify()
  await waiting
  expect(performance.now() - startedMs).toBeLessThan(10_000)
})

test('a notify that nobody waited for is kept once', async () => {
  const signal = createSignal()
  signal.notify()
  signal.notify()
  await signal.wait(60_000)
  const startedMs = performance.now()
  await signal.wait(20)
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(19)
})
