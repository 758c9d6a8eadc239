import { inspect } from 'node:util'
import { parsePosition } from '@countersink/shared/position'
import { expect, test } from 'vitest'
import { Receipt } from './receipt.ts'

test('the position is past the event, as text, as fields and in JSON', () => {
  const receipt = new Receipt('a', 5, 'events', 3, 41, 7)
  const position = { topic: 'events', generation: 0, next: new Map([[3, 42]]) }
  expect(parsePosition(receipt.position)).toEqual(position)
  expect(receipt.positionFields()).toEqual(position)
  expect(JSON.parse(JSON.stringify(receipt))).toEqual({
    id: 'a',
    at: 5,
    partition: 3,
    offset: 41,
    index: 7,
    position: receipt.position,
  })
  expect(inspect(receipt)).toContain(`position: '${receipt.position}'`)
})
