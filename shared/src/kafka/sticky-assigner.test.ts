import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignSticky, type Member } from './sticky-assigner.ts'

function member(memberId: string, owned: number[] = [], generation = 1): Member {
  return { memberId, owned, generation }
}

describe('the sticky assigner', () => {
  test('deals all partitions to one member', () => {
    expect(assignSticky(3, [member('a')])).toEqual(new Map([['a', [0, 1, 2]]]))
  })

  test('a second member takes half, and the first keeps the rest', () => {
    const assignment = assignSticky(4, [member('a', [0, 1, 2, 3]), member('b')])
    expect(assignment.get('a')).toEqual([0, 1])
    expect(assignment.get('b')).toEqual([2, 3])
  })

  test('when a member goes only its partitions move', () => {
    const assignment = assignSticky(6, [member('a', [0, 3]), member('c', [2, 5])])
    expect(assignment.get('a')).toEqual([0, 1, 3])
    expect(assignment.get('c')).toEqual([2, 4, 5])
  })

  test('who owns one more than the share keeps it when somebody has to', () => {
    const assignment = assignSticky(5, [member('a', [0, 1]), member('b', [2, 3, 4])])
    expect(assignment.get('b')).toEqual([2, 3, 4])
  })

  test('of two claims on a partition the newer generation wins', () => {
    const assignment = assignSticky(2, [member('a', [0, 1], 3), member('b', [0, 1], 4)])
    expect(assignment.get('b')).toContain(0)
  })

  test('more members than partitions: some get none', () => {
    const assignment = assignSticky(1, [member('a'), member('b', [0])])
    expect(assignment.get('a')).toEqual([])
    expect(assignment.get('b')).toEqual([0])
  })

  test('claims on partitions that do not exist are ignored', () => {
    const assignment = assignSticky(2, [member('a', [7, -1, 0.5, 1]), member('b')])
    expect([...assignment.values()].flat().toSorted((a, b) => a - b)).toEqual([0, 1])
    expect(assignment.get('a')).toEqual([1])
  })

  test('nobody gets anything where nobody is', () => {
    expect(assignSticky(3, [])).toEqual(new Map())
  })

  const ownership = fc
    .record({
      partitionCount: fc.integer({ min: 0, max: 40 }),
      memberCount: fc.integer({ min: 1, max: 9 }),
      seeds: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 40, maxLength: 40 }),
    })
    .map(({ partitionCount, memberCount, seeds }) => {
      // Owner 9 and owners beyond the members stand for partitions that nobody has.
      const members = Array.from({ length: memberCount }, (_, index) => {
        const owned = seeds.flatMap((owner, partition) =>
          owner === index && partition < partitionCount ? [partition] : [],
        )
        return member(`m${index}`, owned)
      })
      return { partitionCount, members }
    })

  test('for any ownership: complete, balanced within one, keeping as much as that allows', () => {
    fc.assert(
      fc.property(ownership, ({ partitionCount, members }) => {
        const assignment = assignSticky(partitionCount, members)
        const all = [...assignment.values()].flat().toSorted((a, b) => a - b)
        expect(all).toEqual(Array.from({ length: partitionCount }, (_, index) => index))

        const sizes = [...assignment.values()].map((partitions) => partitions.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)

        const share = Math.floor(partitionCount / members.length)
        const above = members.filter(({ owned }) => owned.length > share).length
        const keepable =
          members.reduce((sum, { owned }) => sum + Math.min(owned.length, share), 0) +
          Math.min(above, partitionCount % members.length)
        const kept = members.reduce((sum, { memberId, owned }) => {
          return sum + owned.filter((p) => assignment.get(memberId)?.includes(p)).length
        }, 0)
        expect(kept).toBe(keepable)
      }),
    )
  })

  test('the order of the members does not matter, and a second round moves nothing', () => {
    fc.assert(
      fc.property(ownership, ({ partitionCount, members }) => {
        const assignment = assignSticky(partitionCount, members)
        expect(assignSticky(partitionCount, members.toReversed())).toEqual(assignment)
        const again = members.map(({ memberId }) => member(memberId, assignment.get(memberId), 2))
        expect(assignSticky(partitionCount, again)).toEqual(assignment)
      }),
    )
  })
})
