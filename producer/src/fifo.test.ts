import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFifo } from './fifo.ts'

type Step =
  | { op: 'push'; value: number }
  | { op: 'shift' }
  | { op: 'unshift'; values: number[] }
  | { op: 'remove'; place: number }
  | { op: 'clear' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ op: fc.constant('push' as const), value: fc.nat() }) },
    { weight: 4, arbitrary: fc.constant({ op: 'shift' as const }) },
    fc.record({
      op: fc.constant('unshift' as const),
      values: fc.array(fc.nat(), { maxLength: 4 }),
    }),
    fc.record({ op: fc.constant('remove' as const), place: fc.nat(20) }),
    { weight: 1, arbitrary: fc.constant({ op: 'clear' as const }) },
  ),
  { maxLength: 200 },
)

test('behaves like a plain list', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const fifo = createFifo<number>()
      let list: number[] = []
      for (const step of all) {
        if (step.op === 'push') {
          fifo.push(step.value)
          list.push(step.value)
        } else if (step.op === 'shift') {
          expect(fifo.shift()).toBe(list.shift())
        } else if (step.op === 'unshift') {
          fifo.unshift(step.values)
          list.unshift(...step.values)
        } else if (step.op === 'clear') {
          fifo.clear()
          list = []
        } else {
          const removed = list[step.place]
          if (removed === undefined || list.indexOf(removed) !== list.lastIndexOf(removed)) continue
          fifo.remove(removed)
          list.splice(step.place, 1)
        }
        expect(fifo.items()).toEqual(list)
        expect([fifo.length, fifo.peek()]).toEqual([list.length, list[0]])
      }
    }),
  )
})

test('a long queue shifts as fast as a short one', () => {
  const fifo = createFifo<number>()
  for (let i = 0; i < 500_000; i++) fifo.push(i)
  const begun = performance.now()
  let inOrder = true
  for (let i = 0; i < 500_000; i++) inOrder &&= fifo.shift() === i
  expect(inOrder).toBe(true)
  expect(performance.now() - begun).toBeLessThan(5_000)
  expect(fifo.length).toBe(0)
})
