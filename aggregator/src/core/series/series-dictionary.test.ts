import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKeyOf, STATE_WORDS, viewOf, beginHash, absorbBytes } from '../keyed-hash.ts'
import { formatSeriesName, parseSeriesName, SeriesDictionary } from './series-dictionary.ts'

const KEY = hashKeyOf(Buffer.from('0123456789abcdef'))
const COUNTER = Buffer.from('views')

function find(dictionary: SeriesDictionary, name: Uint8Array): number {
  return dictionary.find(name, viewOf(name), 0, name.length)
}

const names = fc.array(
  fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 3 }),
    fc.uint8Array({ minLength: 1, maxLength: 80 }),
    fc.string({ minLength: 1, unit: 'binary' }).map((text) => new Uint8Array(Buffer.from(text))),
  ),
  { maxLength: 300 },
)

test('finds many names as it finds them one by one, whatever is there', () => {
  fc.assert(
    fc.property(names, names, fc.nat(3), (dealt, asked, from) => {
      const dictionary = new SeriesDictionary(KEY, COUNTER)
      for (const name of dealt) {
        if (find(dictionary, name) < 0) dictionary.deal(name, 0, name.length, name.length)
      }
      const all = [...asked, ...dealt]
      const bytes = Buffer.concat(all)
      const ends = Int32Array.from(all.map((_, i) => Buffer.concat(all.slice(0, i + 1)).length))
      const starts = ends.map((end, i) => end - all[i]!.length)
      const slots = new Int32Array(all.length).fill(-7)
      dictionary.findMany(bytes, viewOf(bytes), starts, ends, from, all.length, slots)
      const expected = all.map((name, i) => (i < from ? -7 : find(dictionary, name)))
      expect([...slots]).toEqual(expected)
    }),
    { numRuns: 100 },
  )
})

test('deals slots densely in the order of first sight, by the bytes of the names alone', () => {
  fc.assert(
    fc.property(names, (all) => {
      const dictionary = new SeriesDictionary(KEY, COUNTER)
      const model = new Map<string, number>()
      for (const name of all) {
        const spelled = Buffer.from(name).toString('hex')
        const known = model.get(spelled)
        expect(find(dictionary, name)).toBe(known ?? -1)
        if (known !== undefined) continue
        expect(dictionary.deal(name, 0, name.length, name.length)).toBe(model.size)
        model.set(spelled, model.size)
      }
      expect(dictionary.size).toBe(model.size)
      for (const [spelled, slot] of model) {
        const name = Buffer.from(spelled, 'hex')
        expect(find(dictionary, name)).toBe(slot)
        expect(Buffer.from(dictionary.name(slot)).toString('hex')).toBe(spelled)
      }
    }),
    { numRuns: 200 },
  )
})

test('finds a name wherever it lies, and takes it from there', () => {
  const dictionary = new SeriesDictionary(KEY, COUNTER)
  const record = Buffer.from('{"key":"v_1","more":"v_12"}')
  const at = record.indexOf('v_1')
  const slot = dictionary.deal(record, at, at + 3, 3)
  const other = record.indexOf('v_12')
  expect(dictionary.find(record, viewOf(record), other, other + 3)).toBe(slot)
  expect(dictionary.find(record, viewOf(record), other, other + 4)).toBe(-1)
})

test('keeps flags and the state of the hash after counter and key, also while it grows', () => {
  const dictionary = new SeriesDictionary(KEY, COUNTER)
  for (let i = 0; i < 5000; i++) {
    const name = Buffer.from(`k${i}\0country\0de`)
    const keyLength = `k${i}`.length
    const slot = dictionary.deal(name, 0, name.length, keyLength)
    if (i % 3 === 0) dictionary.setFlags(slot, i)
  }
  for (let i = 0; i < 5000; i += 7) {
    expect(dictionary.flags(i)).toBe(i % 3 === 0 ? i : 0)
    const expected = new Int32Array(STATE_WORDS)
    const key = Buffer.from(`k${i}`)
    beginHash(KEY, expected, 0)
    absorbBytes(expected, 0, viewOf(COUNTER), 0, COUNTER.length)
    absorbBytes(expected, 0, viewOf(key), 0, key.length)
    const at = dictionary.stateAt(i)
    expect(dictionary.states.slice(at, at + STATE_WORDS)).toEqual(expected)
  }
})

test('a million series take less than 100 bytes each beside their names', () => {
  const dictionary = new SeriesDictionary(KEY, COUNTER)
  let bytes = 0
  for (let i = 0; i < 1_000_000; i++) {
    const name = Buffer.from(`v_${i}`)
    bytes += name.length
    dictionary.deal(name, 0, name.length, name.length)
  }
  expect((dictionary.byteLength - bytes * 1.5) / 1_000_000).toBeLessThan(100)
})

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((value) => !value.includes('\0'))
const dims = fc.dictionary(
  fc.oneof(text, fc.constantFrom('__proto__', 'constructor')),
  fc.oneof(text, fc.constant('')),
  { maxKeys: 4 },
)

test('a series name is taken apart into the key and the dims that it was made of', () => {
  fc.assert(
    fc.property(text, dims, (key, labels) => {
      const parsed = parseSeriesName(formatSeriesName(key, labels))
      expect(parsed.key).toBe(key)
      expect(Object.entries(parsed.dims)).toEqual(
        Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
      )
    }),
  )
})
