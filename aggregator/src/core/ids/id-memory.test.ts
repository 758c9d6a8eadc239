import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ColdRunBuilder } from './cold-run.ts'
import { type IdBucket, IdMemory } from './id-memory.ts'
import { ID_WORDS } from './id-shape.ts'
import { NEW, OTHER_PAYLOAD, SAME } from './id-table.ts'

/** An id that is told by its number; few distinct words, so that places in the index collide. */
function idOf(n: number, payload: number): Int32Array {
  return Int32Array.of(n % 7, n % 3, n, payload)
}

/** Spread as a good hash would spread it. */
function hashed(n: number): Int32Array {
  const mix = (salt: number): number => {
    let h = Math.imul(n + salt, 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
    return h ^ (h >>> 13)
  }
  return Int32Array.of(mix(1), mix(2), n, 0)
}

/** What a commit does: takes what is new. */
function takeAll(memory: IdMemory): void {
  for (const bucket of memory.buckets()) {
    memory.takeFresh(bucket, new Uint8Array(bucket.freshCount * ID_WORDS * 4), 0)
  }
}

type Step =
  | { kind: 'add'; id: number; payload: number; counter: number; end: number }
  | { kind: 'expire'; counter: number; time: number }

const counter = fc.integer({ min: 0, max: 2 })
const time = fc.integer({ min: 0, max: 6 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 40,
      arbitrary: fc.record({
        kind: fc.constant('add' as const),
        id: fc.integer({ min: 0, max: 400 }),
        payload: fc.integer({ min: 0, max: 1 }),
        counter,
        end: time,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), counter, time }) },
  ),
  { maxLength: 1500 },
)

test('I5: knows what a map knows, whatever is remembered and forgotten', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const memory = new IdMemory()
      const model = new Map<number, { payload: number; counter: number; end: number }>()
      for (const step of all) {
        if (step.kind === 'expire') {
          memory.expire(step.counter, step.time)
          for (const [id, known] of model) {
            if (known.counter === step.counter && known.end <= step.time) model.delete(id)
          }
          continue
        }
        const words = idOf(step.id, step.payload)
        const known = model.get(step.id)
        const expected =
          known === undefined ? NEW : known.payload === step.payload ? SAME : OTHER_PAYLOAD
        expect(memory.find(words, 0)).toBe(expected)
        if (expected !== NEW) continue
        memory.insert(memory.bucket(step.counter, step.end, 0), words, 0)
        model.set(step.id, step)
      }
      expect(memory.size).toBe(model.size)
      for (let id = 0; id <= 400; id++) {
        const known = model.get(id)
        expect(memory.find(idOf(id, known?.payload ?? 0), 0)).toBe(known ? SAME : NEW)
      }
      for (const one of [0, 1, 2]) {
        const ends = [...model.values()].filter((known) => known.counter === one)
        expect(memory.firstEnd(one)).toBe(Math.min(...ends.map(({ end }) => end), Infinity))
      }
    }),
    { numRuns: 200 },
  )
})

type Burst = {
  counter: number
  end: number
  ids: number
  restored: boolean
  expired: number
  expected: number
}

const bursts: fc.Arbitrary<Burst[]> = fc.array(
  fc.record({
    counter: fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 40 })),
    end: fc.integer({ min: 1, max: 9 }),
    ids: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 3000 })),
    restored: fc.boolean(),
    expired: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 9 })),
    expected: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30_000 })),
  }),
  { maxLength: 60 },
)

function restore(memory: IdMemory, bucket: IdBucket, words: Int32Array, expected: number): void {
  memory.beginRestore()
  memory.expectRestored(expected)
  memory.restore(bucket, new Uint8Array(words.buffer))
  for (const _ of memory.endRestore());
}

/** Enough ids for segments to be cut again and again, and buckets for their numbers to need bits. */
test('I5: knows what a map knows when there are many ids and many buckets', () => {
  fc.assert(
    fc.property(bursts, (all) => {
      const memory = new IdMemory()
      const model = new Map<number, Burst>()
      let next = 0
      for (const burst of all) {
        const bucket = memory.bucket(burst.counter, burst.end, 0)
        const words = new Int32Array(burst.ids * ID_WORDS)
        memory.expect(burst.expected)
        for (let i = 0; i < burst.ids; i++) {
          model.set(next, burst)
          words.set(hashed(next++), i * ID_WORDS)
          if (burst.restored) continue
          if (i % 2 === 0) memory.find(words, i * ID_WORDS)
          memory.insert(bucket, words, i * ID_WORDS)
        }
        if (burst.restored) restore(memory, bucket, words, burst.expected)
        memory.expire(burst.counter, burst.expired)
        for (const [id, { counter, end }] of model) {
          if (counter === burst.counter && end <= burst.expired) model.delete(id)
        }
      }
      expect(memory.size).toBe(model.size)
      for (let id = 0; id < next + 100; id++) {
        expect(memory.find(hashed(id), 0)).toBe(model.has(id) ? SAME : NEW)
      }
      const seen = new Set<string>()
      memory.forEach(({ counter, end }, [h0, h1]) => seen.add(`${counter} ${end} ${h0} ${h1}`))
      expect(seen.size).toBe(model.size)
      for (const [id, { counter, end }] of model) {
        const [h0, h1] = hashed(id)
        expect(seen.has(`${counter} ${end} ${h0} ${h1}`)).toBe(true)
      }
    }),
    { numRuns: 25 },
  )
})

test('I12: with ids that were expected a table is no larger than with the same ids that were not', () => {
  for (const count of [60_000, 300_000, 1 << 20]) {
    const [told, untold] = [new IdMemory(), new IdMemory()]
    told.expect(count)
    for (const memory of [told, untold]) {
      const bucket = memory.bucket(0, 1, 0)
      for (let n = 0; n < count; n++) {
        memory.insert(bucket, hashed(n), 0)
        if (n % 1024 === 0) takeAll(memory)
      }
      takeAll(memory)
    }
    expect(told.byteLength / count).toBeLessThanOrEqual(20)
    expect(told.byteLength).toBeLessThan(1.05 * untold.byteLength)
  }
})

test('I12: ids that were expected in vain take 5 bytes each at most', () => {
  const [told, untold] = [new IdMemory(), new IdMemory()]
  told.expect(1 << 20)
  for (const memory of [told, untold]) {
    for (let n = 0; n < 20_000; n++)
      memory.insert(memory.bucket(0, n < 10_000 ? 1 : 2, 0), hashed(n), 0)
    takeAll(memory)
  }
  expect(told.byteLength - untold.byteLength).toBeLessThan(5 * 2 ** 20)
  for (const memory of [told, untold]) {
    memory.expire(0, 1)
    const bucket = memory.bucket(0, 3, 0)
    for (let n = 20_000; n < 40_000; n++) memory.insert(bucket, hashed(n), 0)
    takeAll(memory)
  }
  expect(told.byteLength - untold.byteLength).toBeLessThan(5 * 2 ** 20)
  expect([told.size, untold.size]).toEqual([30_000, 30_000])
})

/** The sizes at which something grows lie close together: every one of these is looked at. */
test('I12: an id takes at most 20 bytes from 12,000 ids on, growth included', () => {
  const memory = new IdMemory()
  const [before, after] = [memory.bucket(0, 1, 0), memory.bucket(0, 2, 0)]
  let most = 0
  for (let n = 0; n < 400_000; n++) {
    memory.insert(n % 3 === 0 ? before : after, hashed(n), 0)
    if (n % 64 === 0) takeAll(memory)
    if (n >= 12_000 && n % 64 === 0) most = Math.max(most, memory.byteLength / memory.size)
  }
  expect(most).toBeLessThanOrEqual(20)
})

test('I12: what expired makes room for what comes: memory stays flat under a moving clock', () => {
  const memory = new IdMemory()
  const sizes: number[] = []
  for (let end = 1; end <= 40; end++) {
    const bucket = memory.bucket(0, end, 0)
    for (let i = 0; i < 5000; i++) memory.insert(bucket, hashed(end * 5000 + i), 0)
    memory.expire(0, end - 8)
    sizes.push(memory.byteLength)
  }
  expect(memory.size).toBe(8 * 5000)
  const [first, second] = [Math.max(...sizes.slice(0, 20)), Math.max(...sizes.slice(20))]
  expect(second / first).toBeLessThan(1.02)
  for (let i = 0; i < 5000; i++) {
    expect(memory.find(hashed(32 * 5000 + i), 0)).toBe(NEW)
    expect(memory.find(hashed(33 * 5000 + i), 0)).toBe(SAME)
  }
})

/** A sixtieth of them is forgotten at once, and is there a little longer. */
test('I12: an id takes at most 21 bytes while as many expire as come', () => {
  const memory = new IdMemory()
  let most = 0
  for (let n = 0; n < 600_000; n++) {
    const end = 1 + Math.floor(n / 2000)
    if (n % 2000 === 0) memory.expire(0, end - 60)
    memory.insert(memory.bucket(0, end, 0), hashed(n), 0)
    if (n % 64 === 0) takeAll(memory)
    if (n >= 12_000 && n % 64 === 0) most = Math.max(most, memory.byteLength / memory.size)
  }
  expect(memory.size).toBe(120_000)
  expect(most).toBeLessThanOrEqual(21)
})

test('I12: what is forgotten while ids are restored makes room for those to come', () => {
  const memory = new IdMemory()
  const words = (from: number, until: number): Uint8Array => {
    const all = Array.from({ length: until - from }, (_, i) => [...hashed(from + i)])
    return new Uint8Array(new Int32Array(all.flat()).buffer)
  }
  memory.beginRestore()
  memory.restore(memory.bucket(0, 1, 0), words(0, 90_000))
  memory.expire(0, 1)
  memory.restore(memory.bucket(0, 2, 0), words(90_000, 120_000))
  for (const _ of memory.endRestore());
  expect(memory.byteLength).toBeLessThan(20 * 90_000)
  for (let n = 0; n < 120_000; n += 7) {
    expect(memory.find(hashed(n), 0)).toBe(n < 90_000 ? NEW : SAME)
  }
})

test('a bucket gives what is new since it was last asked, in the order of insertion', () => {
  const memory = new IdMemory()
  const [one, other] = [memory.bucket(3, 10, 0), memory.bucket(3, 20, 0)]
  let taken: number[] = []
  for (let n = 0; n < 1000; n++) {
    memory.insert(n % 2 === 0 ? one : other, hashed(n), 0)
    if (n % 2 === 0) taken.push(n)
    if (n % 311 !== 0) continue
    const bytes = new Uint8Array(one.freshCount * ID_WORDS * 4)
    expect(memory.takeFresh(one, bytes, 0)).toBe(bytes.length)
    const words = new Int32Array(bytes.buffer)
    expect([...words.filter((_, i) => i % ID_WORDS === 2)]).toEqual(taken)
    expect(one.freshCount).toBe(0)
    taken = []
  }
})

test('a bucket keeps the least of the offsets it was asked for with', () => {
  const memory = new IdMemory()
  const bucket: IdBucket = memory.bucket(0, 8, 500)
  expect(memory.bucket(0, 8, 20)).toBe(bucket)
  expect(memory.bucket(0, 8, 700)).toBe(bucket)
  expect(bucket.firstOffset).toBe(20)
  expect(memory.bucket(1, 8, 30)).not.toBe(bucket)
})

test('a bucket that was forgotten while its ids left has a run that must be deleted', () => {
  const memory = new IdMemory()
  const bucket = memory.bucket(0, 1000, 0)
  memory.insert(bucket, hashed(1), 0)
  takeAll(memory)
  const cooling = memory.beginCooling(bucket, 5)
  memory.expire(0, 1000)
  memory.endCooling(cooling, new ColdRunBuilder(cooling, 1).end())
  expect([...memory.cold.expired]).toEqual([cooling])
  expect([memory.size, memory.cold.count]).toEqual([0, 0])
})
