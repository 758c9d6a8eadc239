import { expect, test } from 'vitest'
import { parseStart, resolveStarts } from './cat-start.ts'

const HELD = new Map([
  [1, { first: 0, end: 4 }],
  [0, { first: 5, end: 10 }],
])

test.each([
  ['beginning', 'beginning'],
  ['end', 'end'],
  ['0', { offset: 0 }],
  ['-20', { last: 20 }],
  ['', undefined],
  ['latest', undefined],
  ['1.5', undefined],
  ['9007199254740993', undefined],
])('%j is read as %j', (text, expected) => {
  expect(parseStart(text)).toEqual(expected)
})

test.each([
  ['beginning', [], { 0: 5, 1: 0 }],
  ['end', [], { 0: 10, 1: 4 }],
  [{ last: 2 }, [], { 0: 8, 1: 2 }],
  [{ last: 100 }, [1], { 1: 0 }],
  [{ offset: 7 }, [0], { 0: 7 }],
  [{ offset: 10 }, [0], { 0: 10 }],
] as const)('%j in partitions %j begins at %j', (from, wanted, expected) => {
  expect(Object.fromEntries(resolveStarts(from, wanted, HELD))).toEqual(expected)
})

test.each([
  [{ offset: 4 }, [0], 'holds the offsets 5 to 9, not 4'],
  [{ offset: 11 }, [0], 'holds the offsets 5 to 9, not 11'],
  [{ offset: 7 }, [], 'say which with --partition'],
  ['beginning', [2], 'no partition 2: the topic has the partitions 0 to 1'],
] as const)('%j in partitions %j is refused', (from, wanted, message) => {
  expect(() => resolveStarts(from, wanted, HELD)).toThrow(message)
})

test('an offset in an empty partition is refused', () => {
  const held = new Map([[0, { first: 3, end: 3 }]])
  expect(() => resolveStarts({ offset: 1 }, [0], held)).toThrow(
    'the next one will have the offset 3',
  )
  expect(() => resolveStarts('end', [1], held)).toThrow('has only partition 0')
})
