import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { Outcome } from '@countersink/shared/outcomes'
import type { OutcomesAnswer } from './api-answers.ts'
import { OwnEvents } from './own-events.ts'

/** Past this many ranges and packed records the publisher has to wait until some are settled. About 16 MB. */
export const RANGES_MAX = 500_000
/** What one event that did not count is remembered by, to be explained afterwards. */
const SAMPLES_MAX = 20

const POLL_MS_MIN = 50
const POLL_MS_MAX = 1000

export type Tally = Record<Outcome, number> & {
  /** Jumped over by an operator's `gap accept`: never counted. */
  skipped: number
}

/** `index` is the place in a packed record, else 0. */
export type Sample = { partition: number; offset: number; index: number; outcome: Outcome }

export type OutcomeWatchOptions = {
  /** Asks for the outcomes of `[from, to)`; undefined when the partition is not known yet. */
  ask: (partition: number, from: number, to: number) => Promise<OutcomesAnswer | undefined>
  sleep: (ms: number) => Promise<void>
  nowMs: () => number
  /** Gives up when nothing has been settled for so long although nothing more can be added. */
  stallMsMax: number
}

export type OutcomeWatch = {
  /** An event of ours stands at this offset; called once an event, also of a packed record. */
  add(partition: number, offset: number): void
  /** No more events come. */
  close(): void
  readonly tally: Readonly<Tally>
  readonly pending: number
  readonly samples: readonly Sample[]
  /** Resolves when there is room for more offsets; throws what run() threw if there never will be. */
  room(): Promise<void>
  /**
   * Settles offsets until all are settled after close(). Throws TIMED_OUT after `stallMsMax`
   * without progress, and what `ask` throws when it is not retryable.
   */
  run(): Promise<void>
}

/**
 * Tells a publisher what became of its own events, not of others': it keeps their offsets, asks
 * for the outcomes of the stretches they lie in, and takes out what is settled while it goes on.
 */
export function createOutcomeWatch(options: OutcomeWatchOptions): OutcomeWatch {
  const partitions = new Map<number, OwnEvents>()
  const tally: Tally = { applied: 0, duplicate: 0, conflict: 0, late: 0, invalid: 0, skipped: 0 }
  const samples: Sample[] = []
  let closed = false
  let pending = 0
  let failed: unknown

  const rangesHeld = (): number => [...partitions.values()].reduce((sum, own) => sum + own.held, 0)

  const settledSoFar = (): number => Object.values(tally).reduce((sum, n) => sum + n, 0)

  const settle = (own: OwnEvents, from: number, answer: OutcomesAnswer): void => {
    let settled = 0
    for (const [start, end] of answer.gaps ?? []) {
      const skipped = own.take(Math.max(start, from), Math.min(end, answer.next))
      tally.skipped += skipped
      settled += skipped
    }
    let listed = 0
    for (const [offset, index, outcome] of answer.outcomes) {
      if (offset < from || offset >= answer.next || !own.offsets.has(offset)) continue
      tally[outcome]++
      listed++
      if (outcome !== 'duplicate' && samples.length < SAMPLES_MAX) {
        samples.push({ partition: answer.partition, offset, index, outcome })
      }
    }
    const taken = own.take(from, answer.next)
    tally.applied += taken - listed
    pending -= settled + taken
  }

  const pollOnce = async (): Promise<void> => {
    for (const [partition, own] of partitions) {
      const { first: from, end: to } = own.offsets
      if (from === undefined || to === undefined) continue
      const answer = await options.ask(partition, from, to)
      if (answer !== undefined) settle(own, from, answer)
    }
  }

  const run = async (): Promise<void> => {
    let progressAt = options.nowMs()
    let wait = POLL_MS_MIN
    let lastError: unknown
    while (!closed || pending > 0) {
      const before = settledSoFar()
      try {
        await pollOnce()
        lastError = undefined
      } catch (error) {
        if (!(error instanceof CountersinkError) || !error.retryable) throw error
        lastError = error
      }
      const settled = settledSoFar() - before
      // While more can be sent, counting may lag as it likes.
      if (settled > 0 || (!closed && rangesHeld() <= RANGES_MAX)) progressAt = options.nowMs()
      if (options.nowMs() - progressAt > options.stallMsMax) throw stalled(lastError)
      wait = settled > 0 ? POLL_MS_MIN : Math.min(wait * 1.5, POLL_MS_MAX)
      if (!closed || pending > 0) await options.sleep(wait)
    }
  }

  return {
    add: (partition, offset) => {
      let own = partitions.get(partition)
      if (own === undefined) partitions.set(partition, (own = new OwnEvents()))
      own.add(offset)
      pending++
    },
    close: () => {
      closed = true
    },
    tally,
    get pending() {
      return pending
    },
    samples,
    room: async () => {
      while (rangesHeld() > RANGES_MAX) {
        if (failed !== undefined) throw failed
        await options.sleep(POLL_MS_MIN)
      }
    },
    run: () =>
      run().catch((error: unknown) => {
        failed = error
        throw error
      }),
  }
}

function stalled(lastError: unknown): CountersinkError {
  const why = lastError === undefined ? '' : ` (last answer: ${messageOf(lastError)})`
  return new CountersinkError('TIMED_OUT', `counting does not move on${why}`, {
    cause: lastError,
    retryable: true,
  })
}
