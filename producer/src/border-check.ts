import { CONTRACT_LIMITS, type Contracts, contractOf } from '@countersink/shared/contracts'
import type { CountEvent } from '@countersink/shared/event'
import type { InvalidReason } from '@countersink/shared/reasons'

/**
 * What a contract says of one event alone, in the order in which the fold looks at it, so that a
 * sender learns at once what would otherwise end as `invalid` in the ledger. The fold decides
 * again, by the append time and by the contracts that are in effect at the event's offset.
 */
export function borderCheck(
  event: CountEvent,
  contracts: Contracts,
  nowMs: number,
): InvalidReason | undefined {
  const contract = contractOf(contracts, event.counter)
  if (contract === undefined) return 'unknown-counter'
  if (contract.positiveOnly && event.delta < 0) return 'negative-delta'
  if (Math.abs(event.delta) > contract.deltaMax) return 'delta-out-of-bounds'
  if (event.at > nowMs + CONTRACT_LIMITS.skewMs) return 'future'
  return undefined
}
