import type { WindowPlan } from '../core/window-range.ts'
import { sumWindows, type SlotRef } from '../core/window-sums.ts'
import { contractOf, DEFAULT_CONTRACT } from '@countersink/shared/contracts'
import { contractsInForce } from '../postgres/counters-query.ts'
import { readWindows } from '../postgres/windows-query.ts'
import type { CounterInfo, World } from '../postgres/world.ts'
import { attempt, whenReached, type ReadBounds, type ReadContext } from './reader.ts'
import { resolveSeries, type SeriesName } from './series.ts'

export type Windows = {
  world: World
  info: CounterInfo
  slots: readonly SlotRef[]
  plan: WindowPlan
  /** Start of a window of `plan.step` -> its sum; those without events are left out. */
  sums: ReadonlyMap<number, bigint>
  position: ReadonlyMap<number, number>
}

export type WindowsFault = { fault: string } | 'unknown-counter'

/** The windows of one series at one position. `plan` is made when the counter's sizes are known. */
export function readSeriesWindows(
  context: ReadContext,
  name: SeriesName,
  plan: (sizes: readonly number[]) => WindowPlan | { fault: string },
  bounds: ReadBounds,
): Promise<Windows | WindowsFault> {
  const { database, tail } = context
  return attempt<Windows | WindowsFault>(context, bounds, async (world) => {
    const { state } = world
    const [found] = await resolveSeries(database, world, [name])
    if (found === undefined) return 'unknown-counter'
    const { info, lookup } = found
    const slots = [...lookup.slots]
    const planned = plan(info.sizes)
    if ('fault' in planned) return planned
    const tailBase = new Map(slots.map(({ partition }) => [partition, state.base(partition)]))
    const { generation } = state
    const read = await readWindows(database, generation, info.counter, slots, planned, tailBase)
    return whenReached(tail, world, bounds.deadline, () => {
      if (!lookup.attended || lookup.slots.length !== slots.length) return { kind: 'stale' }
      const summed = sumWindows(state, info.counter, slots, planned, read)
      if (summed.kind !== 'sums') return summed
      const sums = bySteps(summed.sums, planned.step)
      const position = state.positions()
      return { kind: 'done', value: { world, info, slots, plan: planned, sums, position } }
    })
  })
}

function bySteps(sums: ReadonlyMap<number, bigint>, step: number): Map<number, bigint> {
  const steps = new Map<number, bigint>()
  for (const [start, sum] of sums) {
    const stepStart = start - (start % step)
    steps.set(stepStart, (steps.get(stepStart) ?? 0n) + sum)
  }
  return steps
}

/** Contracts change seldom, and only a window's state hangs on them. */
const CONTRACTS_AGE_MS_MAX = 5_000

/** The lateness that a counter is counted under: the longest while partitions differ. */
export async function latenessMs(
  { database }: ReadContext,
  world: World,
  counter: string,
): Promise<number> {
  const now = Date.now()
  if (world.contracts === undefined || now - world.contracts.at > CONTRACTS_AGE_MS_MAX) {
    const inForce = await contractsInForce(database, world.state.generation)
    world.contracts = { at: now, inForce }
  }
  const contracts = world.contracts.inForce.map((version) => contractOf(version, counter))
  const known = contracts.filter((contract) => contract !== undefined)
  if (known.length === 0) return DEFAULT_CONTRACT.latenessMs
  return Math.max(...known.map((contract) => contract.latenessMs))
}
