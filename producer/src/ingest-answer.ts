import type { Problem } from '@countersink/shared/http/problem'
import { formatPosition, mergePositions, type Position } from '@countersink/shared/position'

export type Accepted = { id: string; status: 'accepted'; position: string }
export type Rejected = {
  /** As it was sent; null when there was none that could be. */
  id: string | null
  status: 'rejected'
  /** A reason of an invalid event, or NOT_DELIVERED. */
  code: string
  detail: string
  /** Set for NOT_DELIVERED: the same event, with this id and `at`, may be sent again. */
  retryable?: true
  at?: number
}

/** What became of one event, in the order of the request. */
export type IngestResult = { result: Accepted; position: Position } | { result: Rejected }

export type IngestAnswer = { results: (Accepted | Rejected)[]; position: string }

export const NOT_DELIVERED_CODE = 'NOT_DELIVERED'
const RETRY_AFTER_S = 1

/** The body of an answer: `position` covers all events that were accepted. */
export function ingestAnswer(topic: string, results: readonly IngestResult[]): IngestAnswer {
  let position: Position = { topic, generation: 0, next: new Map() }
  for (const one of results) {
    if ('position' in one) position = mergePositions(position, one.position)
  }
  return { results: results.map((one) => one.result), position: formatPosition(position) }
}

/**
 * 202 when all are accepted, 207 when some. When none is, a problem: 503 if it was for Kafka that
 * one was not, because sending again may help, else 400.
 */
export function ingestStatus({ results, position }: IngestAnswer): 202 | 207 | Problem {
  const rejected = results.filter((result) => result.status === 'rejected')
  if (rejected.length === 0) return 202
  if (rejected.length < results.length) return 207
  const extra = { results, position }
  if (rejected.some((result) => result.code === NOT_DELIVERED_CODE)) {
    const detail = 'no event was acknowledged by Kafka; send the same ones again'
    return { status: 503, code: 'not-delivered', detail, retryAfterS: RETRY_AFTER_S, extra }
  }
  const [first] = rejected
  if (first !== undefined && rejected.length === 1) {
    return { status: 400, code: first.code, detail: first.detail, extra }
  }
  const detail = 'every event of the list was rejected, each for the reason in its result'
  return { status: 400, code: 'events-rejected', detail, extra }
}
