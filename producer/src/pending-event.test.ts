import { expect, test } from 'vitest'
import { checkEvent } from '@countersink/shared/event'
import { inputOf } from './pending-event.ts'

test('an event that comes back can be added again as it is', () => {
  const raw = { id: 'a', counter: 'c', key: 'k', delta: -2, at: 5 }
  for (const input of [raw, { ...raw, dims: { country: 'de', __proto__: 'own' } }]) {
    const parsed = checkEvent(input)
    const again = parsed.ok && inputOf(parsed.event)
    expect(again).toEqual(input)
    expect(checkEvent({ ...again })).toEqual(parsed)
  }
})
