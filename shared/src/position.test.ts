import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CountersinkError } from './errors.ts'
import { covers, formatPosition, mergePositions, parsePosition, type Position } from './position.ts'

function at(next: Record<number, number>, generation = 0, topic = 'events'): Position {
  const entries = Object.entries(next).map(([p, offset]) => [Number(p), offset] as const)
  return { topic, generation, next: new Map(entries) }
}

const positions = fc
  .record({
    generation: fc.nat(9),
    next: fc.uniqueArray(fc.tuple(fc.nat(50), fc.nat(2 ** 45)), { selector: ([p]) => p }),
  })
  .map(({ generation, next }): Position => ({ topic: 'täglich', generation, next: new Map(next) }))

test('a token reads back as its position, in any order of partitions, and fits a URL', () => {
  fc.assert(
    fc.property(positions, (position) => {
      const token = formatPosition(position)
      expect(token).toMatch(/^[A-Za-z0-9._-]+$/)
      expect(parsePosition(token)).toEqual(position)
      const reversed = new Map([...position.next].toReversed())
      expect(formatPosition({ ...position, next: reversed })).toBe(token)
    }),
  )
})

const forged = (value: unknown): string =>
  `p1.${Buffer.from(JSON.stringify(value)).toString('base64url')}`

test.each([
  '',
  'p1.',
  'p2.W10',
  'nonsense',
  `${formatPosition(at({ 0: 1 }))}=`,
  ` ${formatPosition(at({ 0: 1 }))}`,
  forged(null),
  forged({}),
  forged([]),
  forged(['t']),
  forged([1, 0, 0, 1]),
  forged(['t', -1]),
  forged(['t', 0, 0]),
  forged(['t', 0, 0, -1]),
  forged(['t', 0, 0, 1.5]),
  forged(['t', 0, 0, '1']),
  forged(['t', 0, 0, 2 ** 53]),
  forged(['t', 0, 1, 5, 0, 5]),
  forged(['t', 0, 0, 5, 0, 6]),
  forged(['t', 0, ...Array.from({ length: 20_002 }, () => 1)]),
  `p1.${'A'.repeat(300_000)}`,
])('a token that was not ours is refused (%#)', (token) => {
  expect(() => parsePosition(token)).toThrow(
    expect.objectContaining({ code: 'POSITION_INVALID' }) as Error,
  )
})

test('any text is a position of ours or refused, never another failure', () => {
  const tokens = fc.oneof(
    fc.string(),
    fc.json().map((json) => forged(JSON.parse(json))),
  )
  fc.assert(
    fc.property(tokens, (token) => {
      const parsed = attempt(() => formatPosition(parsePosition(token)))
      expect([token, 'POSITION_INVALID']).toContain(parsed)
    }),
  )
})

function attempt(call: () => string): string {
  try {
    return call()
  } catch (error) {
    return error instanceof CountersinkError ? error.code : String(error)
  }
}

test('merging is the least position that covers both', () => {
  expect(mergePositions(at({ 0: 5, 1: 2 }), at({ 1: 7, 3: 1 }, 4))).toEqual(
    at({ 0: 5, 1: 7, 3: 1 }, 4),
  )
  fc.assert(
    fc.property(positions, positions, positions, (a, b, c) => {
      const both = mergePositions(a, b)
      expect(covers(both, a) && covers(both, b)).toBe(true)
      expect(formatPosition(mergePositions(b, a))).toBe(formatPosition(both))
      expect(mergePositions(both, c)).toEqual(mergePositions(a, mergePositions(b, c)))
      expect(covers(a, both)).toBe(covers(a, b))
    }),
  )
})

test('a partition that is not named is covered up to 0', () => {
  expect(covers(at({}), at({ 3: 0 }))).toBe(true)
  expect(covers(at({}), at({ 3: 1 }))).toBe(false)
  expect(covers(at({ 3: 1, 4: 9 }), at({ 3: 1 }))).toBe(true)
})

test('positions of two topics are never compared', () => {
  expect(covers(at({ 0: 9 }, 0, 'a'), at({ 0: 1 }, 0, 'b'))).toBe(false)
  expect(() => mergePositions(at({}, 0, 'a'), at({}, 0, 'b'))).toThrow('two topics: a, b')
})
