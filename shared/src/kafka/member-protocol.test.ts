import { AssignerProtocol } from 'kafkajs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './member-protocol.ts'

test('a subscription tells topic, generation and owned partitions', () => {
  const bytes = encodeSubscription('counts', 7, [1, 4])
  expect(decodeSubscription(bytes)).toEqual({ topics: ['counts'], generation: 7, owned: [1, 4] })
})

test('an assignment tells the partitions of its topic, and none of another', () => {
  const bytes = encodeAssignment('counts', [0, 2])
  expect(decodeAssignment('counts', bytes)).toEqual([0, 2])
  expect(decodeAssignment('other', bytes)).toEqual([])
  expect(decodeAssignment('counts', Buffer.alloc(0))).toEqual([])
})

test('both are in the layout of the consumer protocol that others read', () => {
  const metadata = AssignerProtocol.MemberMetadata.decode(encodeSubscription('counts', 1, [3]))
  expect(metadata).toMatchObject({ version: 0, topics: ['counts'] })
  const assignment = AssignerProtocol.MemberAssignment.decode(encodeAssignment('counts', [3, 5]))
  expect(assignment).toMatchObject({ version: 0, assignment: { counts: [3, 5] } })
})

test('a member of another program owns nothing', () => {
  const theirs = AssignerProtocol.MemberMetadata.encode({
    version: 1,
    topics: ['counts'],
    userData: Buffer.from('theirs'),
  })
  expect(decodeSubscription(theirs)).toEqual({ topics: ['counts'], generation: -1, owned: [] })
})

test('no bytes make the leader fail', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(decodeSubscription(Buffer.from(bytes))).toBeDefined()
    }),
    { numRuns: 2_000 },
  )
})
