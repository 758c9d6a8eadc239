import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetRanges } from './offset-ranges.ts'

const offset = fc.nat({ max: 40 })

type Step = { add: number } | { from: number; to: number }

function apply(ranges: OffsetRanges, step: Step): number {
  return 'add' in step ? Number(ranges.add(step.add)) : ranges.take(step.from, step.to)
}

function applyToModel(model: Set<number>, step: Step): number {
  const before = model.size
  if ('add' in step) return model.add(step.add).size - before
  for (const o of model) if (o >= step.from && o < step.to) model.delete(o)
  return before - model.size
}

describe('OffsetRanges', () => {
  it('is a set, whatever is added and taken in whatever order', () => {
    const step = fc.oneof(fc.record({ add: offset }), fc.record({ from: offset, to: offset }))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const ranges = new OffsetRanges()
        const model = new Set<number>()
        for (const s of steps) {
          expect(apply(ranges, s)).toBe(applyToModel(model, s))
          expect(ranges.size).toBe(model.size)
          for (let o = 0; o <= 41; o++) expect(ranges.has(o)).toBe(model.has(o))
          expect(ranges.first).toBe(model.size === 0 ? undefined : Math.min(...model))
          expect(ranges.end).toBe(model.size === 0 ? undefined : Math.max(...model) + 1)
          const runs = [...model].filter((o) => !model.has(o - 1)).length
          expect(ranges.ranges).toBe(runs)
        }
      }),
    )
  })

  it('keeps a million offsets in a row as one range', () => {
    const ranges = new OffsetRanges()
    for (let o = 5; o < 1_000_005; o++) ranges.add(o)
    expect(ranges.ranges).toBe(1)
    expect(ranges.take(0, 500_005)).toBe(500_000)
    expect(ranges.first).toBe(500_005)
  })
})
