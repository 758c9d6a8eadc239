import { CONTRACT_LIMITS } from '@countersink/shared/contracts'
import type { LogEnds } from './log-ends.ts'
import type { TailState } from './tail-state.ts'

export type Freshness = {
  /** The least clock, epoch milliseconds; undefined when a partition has none yet. */
  asOf: number | undefined
  /** 0 when everything is counted; undefined while nobody knows where the log ends. */
  lagMs: number | undefined
}

/**
 * How fresh an answer is that was made from these partitions. The clock of a caught-up partition is
 * taken to be now less the skew, in answers only, so that an idle one holds nothing back.
 */
export function freshness(
  state: TailState,
  ends: LogEnds,
  counter: number | undefined,
  partitions: Iterable<number>,
  now: number,
): Freshness {
  let asOf: number | undefined = Infinity
  let lagMs: number | undefined = ends.isFresh(now) ? 0 : undefined
  for (const partition of partitions) {
    const lag = ends.lagMs(partition, state.next(partition), state.appendMax(partition), now)
    const clock = counter === undefined ? undefined : state.clock(partition, counter)
    const current = lag === 0 ? Math.max(clock ?? 0, now - CONTRACT_LIMITS.skewMs) : clock
    asOf = asOf === undefined || current === undefined ? undefined : Math.min(asOf, current)
    lagMs = lagMs === undefined || lag === undefined ? undefined : Math.max(lagMs, lag)
  }
  return { asOf: asOf === Infinity ? undefined : asOf, lagMs }
}
