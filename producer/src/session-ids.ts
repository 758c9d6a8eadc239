import { randomBytes } from 'node:crypto'
import { type Contract, contractOf, type Contracts } from '@countersink/shared/contracts'
import { isName, LIMITS } from '@countersink/shared/event'
import { ROUTING_LIMITS } from '@countersink/shared/routing-table'
import { formatSdkId, SDK_ID } from '@countersink/shared/sdk-id'

const SESSION_RANDOM_BYTES = 12
const TIME_MAX = 36 ** SDK_ID.timeChars - 1
/** An id names its partition, see partitionOfLane: a lane is counter number * this + partition. */
const LANE_PARTITIONS = ROUTING_LIMITS.partitionsMax
/** Counters that have lanes of their own; events of further ones get ids of another form. */
export const COUNTERS_MAX = (SDK_ID.laneMax + 1) / LANE_PARTITIONS

/** The events of one counter in one partition: where their ids count up. */
export class IdLane {
  readonly counter: SessionCounter
  readonly partition: number
  /** As it stands in ids; -1 when there is none left for this counter or partition. */
  readonly number: number
  /** Unique in this session; what combining tells lanes apart by. */
  readonly serial: number
  nextSequence = 0
  /** The list of a bulk call's events that are written next, linked by their places; -1: none. */
  head = -1
  tail = -1

  constructor(counter: SessionCounter, partition: number, serial: number) {
    this.counter = counter
    this.partition = partition
    this.serial = serial
    const { number } = counter
    const isWithin = number < COUNTERS_MAX && partition < LANE_PARTITIONS
    this.number = isWithin ? number * LANE_PARTITIONS + partition : -1
  }
}

/** A counter as this session knows it. */
export class SessionCounter {
  readonly name: string
  /** In the order of first use. */
  readonly number: number
  /** Undefined when the session knows no contracts. */
  readonly contract: Contract | undefined
  /** What the record keys of its events begin with. */
  readonly keyPrefix: Buffer
  readonly lanes: IdLane[] = []

  constructor(name: string, number: number, contract: Contract | undefined) {
    this.name = name
    this.number = number
    this.contract = contract
    this.keyPrefix = Buffer.from(`${name}/`)
  }
}

/**
 * Makes the ids of one session: `session.lane.sequence`. The session is the time it began and 96
 * random bits, so ids never meet those of another process and sort by its start. Within a lane they
 * count up, so that what remembers them keeps ranges instead of ids.
 */
export class SessionIds {
  readonly session: string
  readonly #contracts: Contracts | undefined
  readonly #counters = new Map<string, SessionCounter>()
  #lanes = 0
  #unnumbered = 0

  constructor(nowMs: number, contracts?: Contracts) {
    // Any other text would make records that nobody can read: a caller's clock may have fractions.
    const begun = Math.min(Math.max(Math.floor(nowMs) || 0, 0), TIME_MAX)
    const time = begun.toString(36).padStart(SDK_ID.timeChars, '0')
    this.session = time + randomBytes(SESSION_RANDOM_BYTES).toString('base64url')
    this.#contracts = contracts
  }

  /** Undefined when no event can have that counter, or the contracts do not know it. */
  counterOf(name: string): SessionCounter | undefined {
    const known = this.#counters.get(name)
    if (known !== undefined) return known
    if (!isName(name, LIMITS.counterBytesMax)) return undefined
    const contract = this.#contracts && contractOf(this.#contracts, name)
    if (this.#contracts !== undefined && contract === undefined) return undefined
    const counter = new SessionCounter(name, this.#counters.size, contract)
    if (counter.number < COUNTERS_MAX) this.#counters.set(name, counter)
    return counter
  }

  laneOf(counter: SessionCounter, partition: number): IdLane {
    const known = counter.lanes[partition]
    if (known !== undefined) return known
    const lane = new IdLane(counter, partition, this.#lanes++)
    counter.lanes[partition] = lane
    return lane
  }

  /** The id of the lane's next event, as text. */
  next(lane: IdLane): string {
    if (lane.number < 0) return this.unnumbered()
    return formatSdkId(this.session, lane.number, lane.nextSequence++)
  }

  /** An id of no lane: unique, and of a form that nobody takes for one with a lane. */
  unnumbered(): string {
    return `${this.session}.n.${this.#unnumbered++}`
  }
}
