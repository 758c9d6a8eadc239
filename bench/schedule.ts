import type { LoadName } from './loads.ts'
import { OUR_SIDES } from './sides/all-sides.ts'
import type { Side } from './sides/side.ts'

/** One side on one load once. */
export type Job = { load: LoadName; side: Side }

export type ScheduleOptions = {
  loads: readonly LoadName[]
  sides: readonly Side[]
  runs: number
}

/** Of these loads the peers' figures come first. */
const FIRST_PEER_LOADS: readonly LoadName[] = ['skewed', 'flat']

/**
 * All that is to be run, what matters most first, since time may end before the list does: all of
 * ours and the peers on the loads that count; ours again, so that there are medians; the peers on
 * the other loads; the peers again. Runs of the same kind are never neighbours, so that a slow
 * minute of the machine does not hit all runs of one.
 */
export function scheduleJobs({ loads, sides, runs }: ScheduleOptions): Job[] {
  const ours = sides.filter((side) => OUR_SIDES.includes(side))
  const peers = sides.filter((side) => !OUR_SIDES.includes(side))
  const counting = loads.filter((load) => FIRST_PEER_LOADS.includes(load))
  const others = loads.filter((load) => !FIRST_PEER_LOADS.includes(load))
  const round = (over: readonly LoadName[], with_: readonly Side[]): Job[] =>
    over.flatMap((load) => with_.map((side) => ({ load, side })))
  const again = Array.from({ length: runs - 1 })
  return [
    ...round(counting, [...ours, ...peers]),
    ...round(others, ours),
    ...again.flatMap(() => round(loads, ours)),
    ...round(others, peers),
    ...again.flatMap(() => round([...counting, ...others], peers)),
  ]
}
