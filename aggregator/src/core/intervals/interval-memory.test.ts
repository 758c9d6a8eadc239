import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LENGTH_MAX } from './interval-blocks.ts'
import { IntervalMemory } from './interval-memory.ts'
import { hashKeyOf } from '../keyed-hash.ts'
import { LaneTable } from './lane-table.ts'

const SESSION = '0mchx2z1aAZaz09_-AZaz09_-'
const BUCKET_MS = 10

function newMemory() {
  const lanes = new LaneTable(hashKeyOf(Buffer.alloc(16, 7)))
  const memory = new IntervalMemory(lanes)
  const bytes = Buffer.from(SESSION)
  const laneOf = (lane: number) => lanes.intern(bytes, 0, lane)
  return { lanes, memory, laneOf }
}

type Memory = ReturnType<typeof newMemory>

/** The same by a map of single sequences: the bucket's end by counter, lane and sequence. */
class Naive {
  readonly ends = new Map<string, number>()

  expire(counter: number, time: number) {
    for (const [name, end] of this.ends) {
      if (name.startsWith(`${counter} `) && end <= time) this.ends.delete(name)
    }
  }
}

function allOf({ lanes, memory }: Memory): Map<string, number> {
  const all = new Map<string, number>()
  const session = Buffer.alloc(25)
  memory.forEach(({ counter, end }, number, first, length) => {
    const lane = lanes.copyName(number, session, 0)
    expect(session.toString()).toBe(SESSION)
    for (let i = 0; i < length; i++) all.set(`${counter} ${lane} ${first + i}`, end)
  })
  return all
}

/** What no commit has yet, as a commit would store it. */
function freshOf({ lanes, memory }: Memory): Map<string, number> {
  const all = new Map<string, number>()
  for (const set of memory.freshSets) {
    memory.forEachFresh(set, ({ counter, end }, first, length) => {
      const lane = lanes.copyName(memory.laneOf(set), Buffer.alloc(25), 0)
      expect(counter).toBe(memory.counterOf(set))
      for (let i = 0; i < length; i++) all.set(`${counter} ${lane} ${first + i}`, end)
    })
  }
  return all
}

const step = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      counter: fc.nat(2),
      lane: fc.nat(2),
      first: fc.oneof(fc.nat(400), fc.constant(Number.MAX_SAFE_INTEGER - 2)),
      stride: fc.constantFrom(1, -1, 2, 3, 7),
      count: fc.integer({ min: 1, max: 90 }),
      bucket: fc.nat(4),
      spread: fc.constantFrom(0, 0, 1, 3),
    }),
  },
  fc.record({ kind: fc.constant('expire' as const), counter: fc.nat(2), time: fc.nat(90) }),
  fc.record({ kind: fc.constant('save' as const) }),
  // Looked at after every step, no run of sequences would ever be open in the next.
  fc.record({ kind: fc.constant('look' as const) }),
)

test('I5: intervals know what a set of single sequences would, in any order of inserts and expiries', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const own = newMemory()
      const naive = new Naive()
      let saved = new Map<string, number>()
      for (const one of steps) {
        if (one.kind === 'run') {
          insertRun(own, naive, one)
        } else if (one.kind === 'expire') {
          own.memory.expire(one.counter, one.time)
          naive.expire(one.counter, one.time)
        } else if (one.kind === 'look') {
          expect(allOf(own)).toEqual(naive.ends)
        } else {
          const stored = new Map([...saved, ...freshOf(own)])
          own.memory.markSaved()
          own.lanes.forgetIdle()
          // What is stored and has not expired is exactly what is remembered.
          expect(allOf(own)).toEqual(new Map([...stored].filter(([name]) => naive.ends.has(name))))
          saved = stored
        }
      }
      expect(own.memory.sequences).toBe(naive.ends.size)
      expect(allOf(own)).toEqual(naive.ends)
    }),
    { numRuns: 300 },
  )
}, 60_000)

type Run = Extract<typeof step extends fc.Arbitrary<infer S> ? S : never, { kind: 'run' }>

function insertRun({ memory, laneOf }: Memory, naive: Naive, run: Run): void {
  const { counter, lane, first, stride, count, spread } = run
  for (let i = 0; i < count; i++) {
    const sequence = first + i * stride
    if (sequence < 0 || sequence > Number.MAX_SAFE_INTEGER) continue
    const end = (1 + run.bucket + (spread === 0 ? 0 : i % (1 + spread))) * BUCKET_MS
    const name = `${counter} ${lane} ${sequence}`
    const known = memory.has(counter, laneOf(lane), sequence)
    expect(known).toBe(naive.ends.has(name))
    if (known) continue
    memory.insert(memory.bucket(counter, end, 0), laneOf(lane), sequence)
    naive.ends.set(name, end)
    if (i % 2 === 0) expect(memory.has(counter, laneOf(lane), sequence)).toBe(true)
  }
}

test('a lane that counts up is one interval a bucket, however many events it has', () => {
  const { memory, laneOf } = newMemory()
  for (let i = 0; i < 100_000; i++) {
    const end = (1 + Math.floor(i / 25_000)) * BUCKET_MS
    memory.insert(memory.bucket(0, end, 0), laneOf(i % 10), Math.floor(i / 10))
  }
  expect(memory.size).toBe(40)
  expect(memory.sequences).toBe(100_000)
  expect(memory.byteLength).toBeLessThan(32 * 1024)
})

test('sequences without neighbours cost about what hashed ids do', () => {
  const { memory, laneOf } = newMemory()
  const count = 200_000
  const bucket = memory.bucket(0, BUCKET_MS, 0)
  const lane = laneOf(0)
  // A walk in strides that meets every odd number once, far from any order.
  for (let i = 0; i < count; i++) memory.insert(bucket, lane, ((i * 77_777) % count) * 2 + 1)
  memory.markSaved()
  expect(memory.size).toBe(count)
  for (let i = 0; i < 1000; i++) {
    expect(memory.has(0, lane, 2 * i)).toBe(false)
    expect(memory.has(0, lane, 2 * i + 1)).toBe(true)
  }
  for (let i = 0; i < count; i++) memory.insert(bucket, lane, 2 * i)
  expect(memory.sequences).toBe(2 * count)
  expect(memory.size).toBeLessThan(count / 50)
  memory.expire(0, BUCKET_MS)
  expect([memory.size, memory.sequences]).toEqual([0, 0])
})

test('lanes are forgotten when no interval of theirs lives, their numbers are dealt again', () => {
  const { lanes, memory, laneOf } = newMemory()
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 1000; i++) {
      const bucket = memory.bucket(0, (1 + round) * BUCKET_MS, 0)
      memory.insert(bucket, laneOf(1000 * round + i), 0)
    }
    memory.expire(0, round * BUCKET_MS)
    memory.markSaved()
    lanes.forgetIdle()
    expect(memory.size).toBe(1000)
    expect(lanes.size).toBeLessThanOrEqual(2000)
  }
  expect(lanes.byteLength).toBeLessThan(256 * 1024)
})

test('what has expired is swept out by the inserts that follow, and its memory dealt again', () => {
  const { memory, laneOf } = newMemory()
  const lane = laneOf(0)
  const holes = 20_000
  const bytes: number[] = []
  for (let round = 0; round < 20; round++) {
    const bucket = memory.bucket(0, (1 + round) * BUCKET_MS, 0)
    for (let i = 0; i < holes; i++) memory.insert(bucket, lane, 2 * (round * holes + i))
    memory.markSaved()
    memory.expire(0, round * BUCKET_MS)
    expect([memory.size, memory.sequences]).toEqual([holes, holes])
    bytes.push(memory.byteLength)
  }
  expect(Math.max(...bytes)).toBeLessThanOrEqual(3 * bytes[0]!)
  expect(bytes.at(-1)).toBe(bytes[3])
})

test('what has expired is in the way of nothing, as long as it is not swept out', () => {
  const own = newMemory()
  const { memory, laneOf } = own
  const old = memory.bucket(0, BUCKET_MS, 0)
  for (const lane of [0, 1]) for (let i = 0; i < 200; i++) memory.insert(old, laneOf(lane), 3 * i)
  memory.expire(0, BUCKET_MS)
  const next = memory.bucket(0, 2 * BUCKET_MS, 0)
  memory.insert(next, laneOf(0), 30)
  expect([memory.has(0, laneOf(0), 30), memory.has(0, laneOf(0), 33)]).toEqual([true, false])
  memory.restore(next, laneOf(1), 10, 100)
  expect([memory.size, memory.sequences]).toEqual([2, 101])
  expect(allOf(own).size).toBe(101)
})

test('an interval that is longer than its number can say is two', () => {
  const { memory, laneOf } = newMemory()
  const bucket = memory.bucket(0, BUCKET_MS, 0)
  const lane = laneOf(0)
  memory.restore(bucket, lane, 0, LENGTH_MAX)
  memory.insert(bucket, lane, LENGTH_MAX)
  memory.restore(bucket, lane, LENGTH_MAX + 1, LENGTH_MAX - 2)
  memory.insert(bucket, lane, 2 * LENGTH_MAX - 1)
  memory.insert(bucket, lane, 2 * LENGTH_MAX)
  expect([memory.size, memory.sequences]).toEqual([3, 2 * LENGTH_MAX + 1])
  for (const known of [0, LENGTH_MAX - 1, LENGTH_MAX, 2 * LENGTH_MAX - 1, 2 * LENGTH_MAX]) {
    expect(memory.has(0, lane, known)).toBe(true)
  }
  expect(memory.has(0, lane, 2 * LENGTH_MAX + 1)).toBe(false)
})
