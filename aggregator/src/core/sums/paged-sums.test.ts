import { PAGE_SLOTS } from '@countersink/shared/page-format'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BlockPool } from './block-pool.ts'
import { PagedSums } from './paged-sums.ts'

const place = fc.record({
  counter: fc.integer({ min: 0, max: 2 }),
  size: fc.constantFrom(0, 1000, 60_000),
  start: fc.integer({ min: 0, max: 2 }),
  page: fc.integer({ min: 0, max: 5 }),
  index: fc.constantFrom(0, 1, 31, 32, 63, 64, PAGE_SLOTS - 1),
})
type Place = {
  counter: number
  size: number
  start: number
  page: number
  index: number
}

const delta = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.maxSafeInteger(),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
)
const wide = fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n })

type Step =
  | { kind: 'add'; place: Place; delta: number }
  | { kind: 'set'; place: Place; value: bigint }
  | { kind: 'free'; place: Place }
  | { kind: 'touch'; place: Place }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.record({ kind: fc.constant('add' as const), place, delta }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('set' as const), place, value: wide }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('free' as const), place }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('touch' as const), place }) },
  ),
  { maxLength: 400 },
)

/** Page by page, in the order of allocation or of the last touch: index -> sum. */
type Model = Map<string, Map<number, bigint>>

function nameOf({ counter, size, start, page }: Place): string {
  return `${counter} ${size} ${start} ${page}`
}

function blockOf(sums: PagedSums, { counter, size, start, page }: Place): number {
  return sums.block(sums.family(counter, size, start), page, 0)
}

function play(sums: PagedSums, model: Model, all: readonly Step[]): void {
  for (const step of all) {
    const name = nameOf(step.place)
    const { counter, size, start, page, index } = step.place
    if (step.kind === 'free' || step.kind === 'touch') {
      const block = sums.find(counter, size, start, page)
      expect(block >= 0).toBe(model.has(name))
      if (block < 0) continue
      const kept = model.get(name)!
      model.delete(name)
      if (step.kind === 'free') sums.free(block)
      else {
        sums.touch(block)
        model.set(name, kept)
      }
      continue
    }
    const block = blockOf(sums, step.place)
    const ofPage = model.get(name) ?? new Map<number, bigint>()
    model.set(name, ofPage)
    if (step.kind === 'set') {
      sums.set(block, index, step.value)
      ofPage.set(index, step.value)
    } else {
      sums.add(block, index, step.delta)
      ofPage.set(index, (ofPage.get(index) ?? 0n) + BigInt(step.delta))
    }
  }
}

function contentOf(sums: PagedSums): [string, [number, bigint][]][] {
  const content: [string, [number, bigint][]][] = []
  for (let block = sums.oldest; block >= 0; block = sums.after(block)) {
    const { counter, size, start } = sums.familyOf(block)
    const touched: [number, bigint][] = []
    for (let index = 0; index < PAGE_SLOTS; index++) {
      if (sums.isTouched(block, index)) touched.push([index, sums.sum(block, index)])
      else expect(sums.sum(block, index)).toBe(0n)
    }
    expect(sums.countTouched(block)).toBe(touched.length)
    content.push([`${counter} ${size} ${start} ${sums.pageOf(block)}`, touched])
  }
  return content
}

function expectSame(sums: PagedSums, model: Model): void {
  const expected = [...model].map(([name, page]): [string, [number, bigint][]] => [
    name,
    [...page].toSorted(([a], [b]) => a - b),
  ])
  expect(contentOf(sums)).toEqual(expected)
  expect(sums.size).toBe(model.size)
}

test('holds exact sums of any size, page by page, in the order in which pages were begun or touched', () => {
  fc.assert(
    fc.property(steps, steps, (first, second) => {
      const [sums, model]: [PagedSums, Model] = [new PagedSums(), new Map()]
      play(sums, model, first)
      expectSame(sums, model)
      if (first.length % 5 === 0) {
        sums.clear()
        model.clear()
      }
      play(sums, model, second)
      expectSame(sums, model)
    }),
    { numRuns: 200 },
  )
})

test('I13: adding one block to another adds every sum, and says how many are new', () => {
  fc.assert(
    fc.property(steps, steps, (first, second) => {
      const pool = new BlockPool()
      const [target, targetModel]: [PagedSums, Model] = [new PagedSums(pool), new Map()]
      const [source, sourceModel]: [PagedSums, Model] = [new PagedSums(pool), new Map()]
      play(target, targetModel, first)
      play(source, sourceModel, second)
      for (let block = source.oldest; block >= 0; block = source.after(block)) {
        const { counter, size, start } = source.familyOf(block)
        const page = source.pageOf(block)
        const name = `${counter} ${size} ${start} ${page}`
        const sums = targetModel.get(name) ?? new Map<number, bigint>()
        targetModel.set(name, sums)
        const before = sums.size
        for (const [index, sum] of sourceModel.get(name)!) {
          sums.set(index, (sums.get(index) ?? 0n) + sum)
        }
        const to = target.block(target.family(counter, size, start), page, 0)
        expect(pool.addBlock(to, block)).toBe(sums.size - before)
      }
      expectSame(target, targetModel)
      expectSame(source, sourceModel)
    }),
    { numRuns: 200 },
  )
})

test('I13: pages that one takes from another bring their sums, and are gone there', () => {
  fc.assert(
    fc.property(steps, steps, steps, (first, second, third) => {
      const pool = new BlockPool()
      const [target, targetModel]: [PagedSums, Model] = [new PagedSums(pool), new Map()]
      const [source, sourceModel]: [PagedSums, Model] = [new PagedSums(pool), new Map()]
      play(target, targetModel, first)
      play(source, sourceModel, second)
      for (let block = source.oldest; block >= 0;) {
        const next = source.after(block)
        const { counter, size, start } = source.familyOf(block)
        const page = source.pageOf(block)
        const name = `${counter} ${size} ${start} ${page}`
        if (target.find(counter, size, start, page) < 0) {
          target.adopt(block, source, target.family(counter, size, start), page, 7)
          expect(target.from[block]).toBe(7)
          targetModel.set(name, sourceModel.get(name)!)
          sourceModel.delete(name)
        }
        block = next
      }
      expectSame(target, targetModel)
      expectSame(source, sourceModel)
      play(source, sourceModel, third)
      play(target, targetModel, third)
      expectSame(target, targetModel)
      expectSame(source, sourceModel)
    }),
    { numRuns: 60 },
  )
})

test('blocks that were freed are used again', () => {
  const sums = new PagedSums()
  const fill = (): void => {
    for (let page = 0; page < 200; page++) sums.add(sums.block(sums.family(0, 0, 0), page, 0), 5, 1)
  }
  fill()
  const bytes = sums.pool.byteLength
  for (let round = 0; round < 10; round++) {
    sums.clear()
    expect(sums.size).toBe(0)
    fill()
  }
  expect(sums.pool.byteLength).toBe(bytes)
})
