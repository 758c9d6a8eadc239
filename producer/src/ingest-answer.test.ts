import { formatPosition, parsePosition, type Position } from '@countersink/shared/position'
import { expect, test } from 'vitest'
import { ingestAnswer, type IngestResult, ingestStatus } from './ingest-answer.ts'

function accepted(id: string, partition: number, offset: number): IngestResult {
  const position: Position = { topic: 't', generation: 0, next: new Map([[partition, offset + 1]]) }
  return { result: { id, status: 'accepted', position: formatPosition(position) }, position }
}

function rejected(code: string): IngestResult {
  return { result: { id: null, status: 'rejected', code, detail: `because ${code}` } }
}

test('the position covers all that were accepted, in the order of the request', () => {
  const answer = ingestAnswer('t', [
    accepted('a', 1, 5),
    rejected('bad-key'),
    accepted('b', 1, 3),
    accepted('c', 0, 9),
  ])
  expect(answer.results.map((result) => result.id)).toEqual(['a', null, 'b', 'c'])
  expect(parsePosition(answer.position).next).toEqual(
    new Map([
      [0, 10],
      [1, 6],
    ]),
  )
})

test.each([
  [[accepted('a', 0, 0)], 202],
  [[accepted('a', 0, 0), rejected('bad-key')], 207],
  [[accepted('a', 0, 0), rejected('NOT_DELIVERED')], 207],
  [[rejected('bad-key')], { status: 400, code: 'bad-key', detail: 'because bad-key' }],
  [[rejected('bad-key'), rejected('bad-id')], { status: 400, code: 'events-rejected' }],
  [[rejected('bad-key'), rejected('NOT_DELIVERED')], { status: 503, retryAfterS: 1 }],
  [[rejected('NOT_DELIVERED')], { status: 503, code: 'not-delivered' }],
])('the status says whether sending again can help (%#)', (results, status) => {
  const given = ingestStatus(ingestAnswer('t', results))
  expect({ given }).toMatchObject({ given: status })
})

test('a problem has the results and a position too', () => {
  const answer = ingestAnswer('t', [rejected('bad-key')])
  expect(ingestStatus(answer)).toMatchObject({ extra: answer })
  expect(parsePosition(answer.position).next.size).toBe(0)
})
