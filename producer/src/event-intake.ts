import { CONTRACT_LIMITS, type Contracts } from '@countersink/shared/contracts'
import { checkEvent, type EventInput, isObject, isText, LIMITS } from '@countersink/shared/event'
import type { InvalidReason } from '@countersink/shared/reasons'
import { murmur2 } from '@countersink/shared/routing'
import { borderCheck } from './border-check.ts'
import { partitionFor } from './partition-choice.ts'
import type { IdLane, SessionCounter, SessionIds } from './session-ids.ts'

const PLAIN_BYTES_MAX = LIMITS.counterBytesMax + 1 + LIMITS.keyBytesMax
/** What checkEvent is given for the id that is made later. */
const ID_TO_BE_MADE = 'made'

/**
 * Takes what callers give apart: checks it, stamps it, and finds its lane. One object for all
 * events, whose fields hold the last one that was read: on the way of a bulk load nothing is
 * allocated for an event. The usual shape (no dims, a key of ASCII) is checked and hashed in one
 * pass, which costs 35 ns; looking up a cached partition by counter and key took 75-140 ns.
 */
export class EventIntake {
  /** Where it goes; only set after a read that gave no reason. */
  lane!: IdLane
  key = ''
  keyBytes = 0
  /** Undefined when the SDK is to make one. */
  id: string | undefined
  at = 0
  delta = 0
  dims: ReadonlyMap<string, string> | undefined
  partitions = 0

  readonly #ids: SessionIds
  readonly #contracts: Contracts | undefined
  readonly #bytes = Buffer.alloc(PLAIN_BYTES_MAX)
  #counter: SessionCounter | undefined
  #prefixBytes = 0

  constructor(ids: SessionIds, contracts: Contracts | undefined) {
    this.#ids = ids
    this.#contracts = contracts
  }

  /** Why the event is invalid, or undefined: then the fields have it. */
  read(input: EventInput, nowMs: number): InvalidReason | undefined {
    return this.#readPlain(input, nowMs) ? undefined : this.#readAny(input, nowMs)
  }

  /** False for all that is unusual, wrong or not. */
  #readPlain(input: EventInput, nowMs: number): boolean {
    if (typeof input !== 'object' || input === null) return false
    const { id, counter, key } = input
    if (input.v !== undefined || input.dims !== undefined) return false
    if (id !== undefined && !isText(id, LIMITS.idBytesMax)) return false
    if (counter !== this.#counter?.name && !this.#enterCounter(counter)) return false
    const hash = this.#hashOf(key)
    if (hash < 0) return false
    const delta = input.delta ?? 1
    const at = input.at ?? (id === undefined ? nowMs : undefined)
    if (!Number.isSafeInteger(delta) || input.delta === null || input.at === null) return false
    if (typeof at !== 'number' || !(at >= 0 && at <= LIMITS.atMsMax) || at % 1 !== 0) return false
    const own = this.#counter!
    if (own.contract !== undefined) {
      if (delta < 0 && own.contract.positiveOnly) return false
      if (Math.abs(delta) > own.contract.deltaMax) return false
      if (at > nowMs + CONTRACT_LIMITS.skewMs) return false
    }
    const partition = partitionFor(hash, id, this.partitions)
    this.lane = own.lanes[partition] ?? this.#ids.laneOf(own, partition)
    this.key = key
    this.keyBytes = key.length
    this.id = id
    // Adding 0 turns -0 into 0.
    this.at = at + 0
    this.delta = delta + 0
    this.dims = undefined
    return true
  }

  #readAny(input: EventInput, nowMs: number): InvalidReason | undefined {
    if (!isObject(input)) return 'not-an-object'
    const isMade = input.id === undefined
    const parsed = checkEvent({
      ...input,
      id: isMade ? ID_TO_BE_MADE : input.id,
      at: isMade ? (input.at ?? nowMs) : input.at,
    })
    if (!parsed.ok) return parsed.reason
    const { event } = parsed
    const reason = this.#contracts && borderCheck(event, this.#contracts, nowMs)
    if (reason !== undefined) return reason
    if (!this.#enterCounter(event.counter)) return 'bad-counter'
    const id = isMade ? undefined : event.id
    const key = Buffer.from(event.key)
    key.copy(this.#bytes, this.#prefixBytes)
    const hash = murmur2(this.#bytes, 0, this.#prefixBytes + key.length)
    const partition = partitionFor(hash & 0x7fffffff, id, this.partitions)
    this.lane = this.#ids.laneOf(this.#counter!, partition)
    this.key = event.key
    this.keyBytes = key.length
    this.id = id
    this.at = event.at
    this.delta = event.delta
    this.dims = event.dims
    return undefined
  }

  /** Puts the counter where the hash of a record key begins; false when there is none such. */
  #enterCounter(name: string): boolean {
    const counter = typeof name === 'string' ? this.#ids.counterOf(name) : undefined
    if (counter === undefined) return false
    this.#counter = counter
    this.#prefixBytes = counter.keyPrefix.copy(this.#bytes)
    return true
  }

  /** The hash of the record key; -1 when the key is not printable ASCII with a letter in it. */
  #hashOf(key: string): number {
    if (typeof key !== 'string' || key.length > LIMITS.keyBytesMax) return -1
    const bytes = this.#bytes
    const start = this.#prefixBytes
    let isBlank = true
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i)
      if (code < 0x20 || code > 0x7e) return -1
      if (code !== 0x20) isBlank = false
      bytes[start + i] = code
    }
    return isBlank ? -1 : murmur2(bytes, 0, start + key.length) & 0x7fffffff
  }
}
