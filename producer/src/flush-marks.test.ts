import { expect, test } from 'vitest'
import { createFlushMarks } from './flush-marks.ts'

/** Whether a promise is resolved by now, all microtasks done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.then(() => (settled = true))
  await new Promise(setImmediate)
  return settled
}

test('with nothing open a flush is settled at once', async () => {
  expect(await isSettled(createFlushMarks().settled())).toBe(true)
})

test('a flush waits for what entered before it, not for what entered after', async () => {
  const marks = createFlushMarks()
  const before = [marks.enter(), marks.enter()]
  const flush = marks.settled()
  const after = marks.enter()
  marks.leave(before[0] ?? after)
  expect(await isSettled(flush)).toBe(false)
  marks.leave(before[1] ?? after)
  expect(await isSettled(flush)).toBe(true)
  const second = marks.settled()
  expect(await isSettled(second)).toBe(false)
  marks.leave(after)
  expect(await isSettled(second)).toBe(true)
})

test('a later flush also waits for what an earlier one waits for', async () => {
  const marks = createFlushMarks()
  const first = marks.enter()
  const flushes = [marks.settled()]
  const second = marks.enter()
  flushes.push(marks.settled(), marks.settled())
  marks.leave(second)
  expect(await Promise.all(flushes.map(isSettled))).toEqual([false, false, false])
  marks.leave(first)
  expect(await Promise.all(flushes.map(isSettled))).toEqual([true, true, true])
})
