import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError } from '@countersink/shared/errors'
import { outcomesAnswer, statusAnswer } from './api-answers.ts'
import { type ApiClient, ApiRefusal } from './api-client.ts'
import { createOutcomeWatch, type OutcomeWatch } from './outcome-watch.ts'

/** For the question why counting stands still. */
const STATUS_MS_MAX = 2000

/** Follows what becomes of the publisher's own events through the query API. */
export function watchOutcomes(
  api: ApiClient,
  stallMsMax: number,
  signal: AbortSignal,
): OutcomeWatch {
  return createOutcomeWatch({
    ask: async (partition, from, to) => {
      const path = `/v1/partitions/${partition}/outcomes?from=${from}&to=${to}`
      try {
        return await api.get(path, outcomesAnswer)
      } catch (error) {
        // Nobody has claimed the partition yet.
        if (error instanceof ApiRefusal && error.status === 404) return undefined
        throw error
      }
    },
    sleep: (ms) => sleep(ms, undefined, { signal }),
    nowMs: () => performance.now(),
    stallMsMax,
  })
}

/** A time-out with what the status says about partitions that do not move; others as they are. */
export async function explainStall(api: ApiClient, error: unknown): Promise<unknown> {
  if (!(error instanceof CountersinkError) || error.code !== 'TIMED_OUT') return error
  try {
    const { partitions } = await api.get('/v1/status', statusAnswer, STATUS_MS_MAX)
    const still = partitions.filter((p) => p.state !== 'live')
    if (still.length === 0) return error
    const states = still.map((p) => `partition ${p.partition} is ${p.state}`).join(', ')
    return new CountersinkError('TIMED_OUT', `${error.message}; ${states}`, { cause: error })
  } catch {
    return error
  }
}
