import { expect, test } from 'vitest'
import { EventDensity } from './event-density.ts'

test('an offset is one event until more is known, and never less', () => {
  const density = new EventDensity()
  expect(density.eventsPerOffset).toBe(1)
  density.add(5000, 0)
  expect(density.eventsPerOffset).toBe(1)
  density.add(0, 0)
  expect(density.eventsPerOffset).toBe(1)
})

test('packed records are events by the thousand, and what the log held long ago is forgotten', () => {
  const density = new EventDensity()
  density.add(10, 20_000)
  expect(density.eventsPerOffset).toBe(2000)
  density.add(10, 10)
  expect(density.eventsPerOffset).toBeCloseTo(1000.5)
  for (let i = 0; i < 20; i++) density.add(5000, 5000)
  expect(density.eventsPerOffset).toBeCloseTo(1)
  for (let i = 0; i < 200; i++) density.add(100, 100_000)
  expect(density.eventsPerOffset).toBeCloseTo(1000)
})
