import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ID_WORDS, IdMemory } from '../core/id-memory.ts'
import { ID_GROUP_HEADER_BYTES, readIdGroupHeader, takeNewIds } from './id-groups.ts'

type Id = { counter: number; end: number; words: number[] }

function readAll(bytes: Buffer): Id[] {
  const ids: Id[] = []
  for (let at = 0; at < bytes.length;) {
    const { counter, end, count } = readIdGroupHeader(bytes, at)
    at += ID_GROUP_HEADER_BYTES
    for (let i = 0; i < count; i++) {
      const words = Array.from({ length: ID_WORDS }, (_, w) => bytes.readInt32LE(at + 4 * w))
      ids.push({ counter, end, words })
      at += 4 * ID_WORDS
    }
  }
  return ids
}

function sorted(ids: readonly Id[]): string[] {
  return ids.map((id) => JSON.stringify([id.counter, id.end, id.words])).toSorted()
}

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const id = fc.record({
  counter: fc.integer({ min: 0, max: 3 }),
  end: fc.integer({ min: 0, max: 253_402_300_799_999 }),
  words: fc.tuple(word, word, word, word).map((words): number[] => words),
})
const commits = fc.array(
  fc.uniqueArray(id, { maxLength: 150, selector: ({ words }) => words.slice(0, 3).join() }),
  { maxLength: 5 },
)

test('I3: each commit takes the ids that are new since the one before, and what is read is what was taken', () => {
  fc.assert(
    fc.property(commits, (all) => {
      const memory = new IdMemory()
      for (const ids of all) {
        for (const { counter, end, words } of ids) {
          memory.insert(memory.bucket(counter, end, 0), Int32Array.from(words), 0)
        }
        const taken = takeNewIds(memory, (ordinal) => ordinal + 100)
        const expected = ids.map((one) => ({ ...one, counter: one.counter + 100 }))
        expect(sorted(readAll(taken))).toEqual(sorted(expected))
      }
      expect(takeNewIds(memory, () => 0)).toHaveLength(0)
    }),
  )
})
