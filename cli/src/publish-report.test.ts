import { CountersinkError } from '@countersink/shared/errors'
import { describe, expect, it } from 'vitest'
import {
  type PublishSummary,
  summaryExit,
  summaryLines,
  summaryProblems,
} from './publish-report.ts'

const TALLY = { applied: 7, duplicate: 2, conflict: 0, late: 1, invalid: 0, skipped: 0 }
const SENDING = { lines: 10, invalidLines: 0, delivered: 10, undelivered: 0, failure: undefined }

function summary(more: Partial<PublishSummary> = {}): PublishSummary {
  return {
    source: 'a.ndjson',
    sending: SENDING,
    tally: TALLY,
    samples: [],
    pending: 0,
    waitFailure: undefined,
    position: undefined,
    elapsedMs: 1500,
    interrupted: false,
    ...more,
  }
}

describe('the summary of a publication', () => {
  it('says what became of the events, and leaves out what did not happen', () => {
    expect(summaryLines(summary())).toEqual([
      '10 events sent in 1.5 s',
      '  counted    7',
      '  duplicate  2  counted before, not counted again',
      '  late       1  older than the lateness allows; not counted',
    ])
  })

  it('has an exit code for each way to end', () => {
    const away = new CountersinkError('TIMED_OUT', 'nobody answers', { retryable: true })
    const exits = [
      summary(),
      summary({ sending: { ...SENDING, invalidLines: 1 } }),
      summary({ tally: { ...TALLY, conflict: 1 } }),
      summary({ tally: { ...TALLY, skipped: 1 } }),
      summary({ waitFailure: away, pending: 3 }),
      summary({ sending: { ...SENDING, undelivered: 2, failure: away } }),
      summary({ sending: { ...SENDING, failure: new Error('cut off') } }),
      summary({ interrupted: true }),
      summary({ tally: undefined }),
    ].map(summaryExit)
    expect(exits).toEqual([0, 3, 3, 3, 4, 4, 1, 130, 0])
  })

  it('says that another run is safe when this one did not bring everything home', () => {
    const away = new CountersinkError('TIMED_OUT', 'nobody answers', { retryable: true })
    const sending = { ...SENDING, undelivered: 2, failure: away }
    expect(summaryProblems(summary({ sending })).join('\n')).toMatch(
      /nobody answers.*again is safe/s,
    )
    expect(summaryProblems(summary())).toEqual([])
  })
})
