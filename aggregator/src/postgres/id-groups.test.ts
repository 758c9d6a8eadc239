import { formatSdkId } from '@countersink/shared/sdk-id'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ID_WORDS } from '../core/ids/id-shape.ts'
import { hashKeyOf } from '../core/keyed-hash.ts'
import { RememberedIds } from '../core/ids/remembered-ids.ts'
import { readIdGroups, takeNewIds } from './id-groups.ts'
import { restoreIntervals } from './interval-groups.ts'

const HASH_KEY = hashKeyOf(Buffer.alloc(16, 9))
const SESSIONS = ['0mchx2z1aAZaz09_-AZaz09_-', '0mchx2z1aAZaz09_-AZaz09_0']

type Id = { counter: number; end: number; words: number[] }
type Made = { counter: number; end: number; session: string; lane: number; sequence: number }

function hashedOf(bytes: Buffer): Id[] {
  const all: Id[] = []
  for (const group of readIdGroups(bytes)) {
    if (group.kind !== 'hashed') continue
    const { counter, end, ids } = group
    expect(group.mayBeMade).toBe(false)
    for (let at = 0; at < ids.length; at += 4 * ID_WORDS) {
      const words = Array.from({ length: ID_WORDS }, (_, w) => ids.readInt32LE(at + 4 * w))
      all.push({ counter, end, words })
    }
  }
  return all
}

function restoreMade(
  bytes: Buffer,
  ids: RememberedIds,
  { lateBefore = -Infinity, namesOnly = false } = {},
): void {
  for (const group of readIdGroups(bytes)) {
    if (group.kind !== 'intervals') continue
    const { counter, body } = group
    restoreIntervals(body, { ids, counter, firstOffset: 0, lateBefore, namesOnly })
  }
}

function madeOf({ intervals, lanes }: RememberedIds): string[] {
  const all: string[] = []
  const session = Buffer.alloc(25)
  intervals.forEach(({ counter, end }, number, first, length) => {
    const lane = lanes.copyName(number, session, 0)
    for (let i = 0; i < length; i++) {
      all.push(`${counter} ${end} ${formatSdkId(session.toString(), lane, first + i)}`)
    }
  })
  return all.toSorted()
}

function sorted(ids: readonly Id[]): string[] {
  return ids.map((id) => JSON.stringify([id.counter, id.end, id.words])).toSorted()
}

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const end = fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 253_402_300_799_999 }))
const id = fc.record({
  counter: fc.integer({ min: 0, max: 3 }),
  end,
  words: fc.tuple(word, word, word, word).map((words): number[] => words),
})
const made = fc.record({
  counter: fc.integer({ min: 0, max: 3 }),
  end: fc.oneof(fc.constantFrom(10, 20, 30), end),
  session: fc.constantFrom(...SESSIONS),
  lane: fc.oneof(fc.nat(2), fc.constant(2 ** 31 - 1)),
  sequence: fc.oneof(fc.nat(30), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
})
const commits = fc.array(
  fc.record({
    hashed: fc.uniqueArray(id, {
      maxLength: 100,
      selector: ({ words }) => words.slice(0, 3).join(),
    }),
    made: fc.array(made, { maxLength: 100 }),
  }),
  { maxLength: 5 },
)

function insertMade(ids: RememberedIds, { counter, end, session, lane, sequence }: Made): void {
  const number = ids.lanes.intern(Buffer.from(session), 0, lane)
  if (ids.intervals.has(counter, number, sequence)) return
  ids.intervals.insert(ids.intervals.bucket(counter, end, 0), number, sequence)
}

test('I3: each commit takes the ids that are new since the one before, and what is read is what was taken', () => {
  fc.assert(
    fc.property(commits, (all) => {
      const ids = new RememberedIds(HASH_KEY)
      const restored = new RememberedIds(HASH_KEY)
      for (const commit of all) {
        for (const { counter, end, words } of commit.hashed) {
          ids.hashed.insert(ids.hashed.bucket(counter, end, 0), Int32Array.from(words), 0)
        }
        for (const one of commit.made) insertMade(ids, one)
        const taken = takeNewIds(ids, (ordinal) => ordinal)
        expect(sorted(hashedOf(taken))).toEqual(sorted(commit.hashed))
        restoreMade(taken, restored)
        expect(madeOf(restored)).toEqual(madeOf(ids))
      }
      expect(takeNewIds(ids, () => 0)).toHaveLength(0)
    }),
  )
})

test('what has expired since, or before it was stored, does not come back', () => {
  fc.assert(
    fc.property(fc.array(made), fc.array(made), fc.nat(40), (before, after, time) => {
      const ids = new RememberedIds(HASH_KEY)
      for (const one of before) insertMade(ids, one)
      const first = takeNewIds(ids, (ordinal) => ordinal)
      for (const one of after) insertMade(ids, one)
      for (let counter = 0; counter < 4; counter++) ids.expire(counter, time)
      const second = takeNewIds(ids, (ordinal) => ordinal)
      const restored = new RememberedIds(HASH_KEY)
      restoreMade(first, restored, { lateBefore: time })
      restoreMade(second, restored, { lateBefore: time })
      expect(madeOf(restored)).toEqual(madeOf(ids))
    }),
  )
})

test('I5: commits whose order is lost come back all the same, and go on from there', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(made)),
      fc.array(made),
      fc.infiniteStream(fc.nat()),
      (all, after, order) => {
        const ids = new RememberedIds(HASH_KEY)
        const takes = all.map((some) => {
          for (const one of some) insertMade(ids, one)
          return takeNewIds(ids, (ordinal) => ordinal)
        })
        const carried = takes
          .map((bytes) => ({ bytes, place: order.next().value as number }))
          .toSorted((a, b) => a.place - b.place)
        const restored = new RememberedIds(HASH_KEY)
        for (const { bytes } of carried) restoreMade(bytes, restored, { namesOnly: true })
        for (const { bytes } of carried) restoreMade(bytes, restored)
        expect(madeOf(restored)).toEqual(madeOf(ids))
        for (const one of after) insertMade(restored, one)
        const next = takeNewIds(restored, (ordinal) => ordinal)
        const again = new RememberedIds(HASH_KEY)
        for (const bytes of [...takes, next]) restoreMade(bytes, again, { namesOnly: true })
        for (const bytes of [...takes, next]) restoreMade(bytes, again)
        expect(madeOf(again)).toEqual(madeOf(restored))
      },
    ),
  )
})

test('a commit of before there were intervals is read, and known to be one', () => {
  const bytes = Buffer.alloc(32)
  bytes.writeInt32LE(5, 0)
  bytes.writeBigInt64LE(99n, 4)
  bytes.writeUInt32LE(1, 12)
  const [group] = readIdGroups(bytes)
  const expected = { kind: 'hashed', counter: 5, end: 99, ids: Buffer.alloc(16), mayBeMade: true }
  expect(group).toEqual(expected)
})

test('a lane is named once for each bucket, not once for each commit', () => {
  const ids = new RememberedIds(HASH_KEY)
  const lane = { counter: 0, session: SESSIONS[0]!, lane: 65_536 }
  const sizes = Array.from({ length: 6 }, (_, i) => {
    insertMade(ids, { ...lane, end: i < 3 ? 1e12 : 2e12, sequence: i })
    if (i > 3) insertMade(ids, { ...lane, end: 1e12, sequence: 100 + i })
    return takeNewIds(ids, () => 1).length
  })
  expect(sizes.map((size) => size > 40)).toEqual([true, false, false, true, false, false])
})

test('ten producers with live traffic cost next to nothing an event', () => {
  const ids = new RememberedIds(HASH_KEY)
  const events = 1000
  const sessions = Array.from({ length: 10 }, (_, i) => `0mchx2z1aAZaz09_-AZaz09_${i}`)
  let bytes = 0
  for (let commit = 0; commit < 50; commit++) {
    for (let i = 0; i < events; i++) {
      const sequence = (commit * events + i - (i % 10)) / 10
      insertMade(ids, { counter: 0, end: 1e12, session: sessions[i % 10]!, lane: 3, sequence })
    }
    bytes += takeNewIds(ids, () => 1).length
  }
  expect(ids.intervals.size).toBe(10)
  expect(bytes / (50 * events)).toBeLessThan(0.08)
})

test('one commit can name more lanes than its buffer could be doubled for', () => {
  const ids = new RememberedIds(HASH_KEY)
  for (let i = 0; i < 2000; i++) {
    const session = Buffer.from(`0mchx2z1a${String(i).padStart(16, 'A')}`)
    const lane = ids.lanes.intern(session, 0, 7)
    ids.intervals.insert(ids.intervals.bucket(0, 10, 0), lane, i)
  }
  const known = madeOf(ids)
  const bytes = takeNewIds(ids, (ordinal) => ordinal)
  expect(bytes.length).toBeLessThan(2000 * 40)
  const back = new RememberedIds(HASH_KEY)
  restoreMade(bytes, back)
  expect(madeOf(back)).toEqual(known)
})
