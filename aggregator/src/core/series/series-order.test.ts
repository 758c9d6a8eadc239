import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKeyOf } from '../keyed-hash.ts'
import { formatSeriesName, SeriesDictionary } from './series-dictionary.ts'
import { sortedSlots } from './series-order.ts'
import { RUN_SERIES_MAX } from './series-runs.ts'

const HASH_KEY = hashKeyOf(Buffer.from('0123456789abcdef'))

type Name = { key: string; dims: Record<string, string> }

function dictionaryOf(names: readonly Name[]): SeriesDictionary {
  const dictionary = new SeriesDictionary(HASH_KEY, Buffer.from('views'))
  for (const { key, dims } of names) {
    const name = formatSeriesName(key, dims)
    dictionary.deal(name, 0, name.length, Buffer.byteLength(key))
  }
  return dictionary
}

/** By the bytes of the key, then by slot, in the plainest way. */
function sortedPlainly(names: readonly Name[], first: number, until: number): number[] {
  return names
    .map(({ key }, slot) => ({ key: Buffer.from(key), slot }))
    .slice(first, until)
    .toSorted((a, b) => Buffer.compare(a.key, b.key) || a.slot - b.slot)
    .map(({ slot }) => slot)
}

/** Alike in their beginnings, one the beginning of another, and any text. */
const keys = fc.oneof(
  fc.stringMatching(/^[ab]{1,30}$/),
  fc.integer({ min: 0, max: 3000 }).map((n) => `tenant-${n % 3}/page-${n}`),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.constantFrom('\ud83d\ude00', '\uffee', '\u00e9', 'x'.repeat(1024), `${'x'.repeat(1023)}y`),
)
const names = fc.array(
  fc.record({
    key: keys.filter((key) => !key.includes('\0')),
    dims: fc.constantFrom({}, {}, { country: 'de' }, { country: 'at', os: '' }),
  }),
  { minLength: 1, maxLength: 400 },
)

test('slots stand in the order of the bytes of their keys in UTF-8, those of one key in their own', () => {
  fc.assert(
    fc.property(names, fc.nat(20), (all, skipped) => {
      const first = Math.min(skipped, all.length - 1)
      const sorted = sortedSlots(dictionaryOf(all), first, all.length)
      expect([...sorted]).toEqual(sortedPlainly(all, first, all.length))
    }),
    { numRuns: 400 },
  )
})

test('as many as a run has, with long beginnings in common and many series of one key', () => {
  const all = Array.from({ length: RUN_SERIES_MAX + 5 }, (_, i): Name => {
    const n = (i * 7919) % 10_007
    const key = n < 500 ? 'one key of many' : `${'x'.repeat(n % 40)}/${n % 100}/${n >> 3}`
    return { key, dims: i % 3 === 0 ? {} : { n: String(i) } }
  })
  const sorted = sortedSlots(dictionaryOf(all), 5, all.length)
  expect([...sorted]).toEqual(sortedPlainly(all, 5, all.length))
})
