import type { Contracts } from '@countersink/shared/contracts'
import { CountersinkError } from '@countersink/shared/errors'
import type { Compression } from '@countersink/shared/kafka/codecs'
import { BATCH_BYTES_MAX } from '@countersink/shared/kafka/producer-lane'
import type { Logger } from '@countersink/shared/log'
import type { EventFormat } from './record-encoder.ts'

export type ProducerOptions = {
  /** host:port of each broker to begin with. */
  brokers: readonly string[]
  topic: string
  clientId?: string
  /** How events lie in the topic: see docs/decisions/015-what-the-sdk-writes.md. */
  format?: EventFormat
  /**
   * Whether calls for one series and one second of `at`, without ids of their own, may leave as one
   * event with their sum and the earliest `at`; off by default. Give `contracts` with it, which can
   * forbid it and say how large a delta may be.
   */
  combine?: boolean
  /**
   * What counters.yaml says (readContracts): an event that its contract refuses is invalid at once.
   * Without them everything goes to the topic, where the aggregator decides.
   */
  contracts?: Contracts
  /** How long an event may wait for others to share its batch. */
  lingerMs?: number
  /**
   * A batch this large is sent without lingering. At most 900,000: the broker's own limit is 1 MiB
   * unless it is told otherwise, and a batch may be an event's size larger than this.
   */
  batchBytesMax?: number
  /** What is buffered, acknowledged or not; when it is full add() waits. */
  bufferBytesMax?: number
  bufferEventsMax?: number
  /** How many calls may wait for room at once; further ones reject at once. */
  waitingEventsMax?: number
  /** From the call on; an event not acknowledged by then rejects. */
  deliveryTimeoutMs?: number
  /** How long stop() goes on delivering. */
  stopTimeoutMs?: number
  /** Of batches, on their way and in the topic; anything but `none` costs CPU here. */
  compression?: Compression
  /** Failures reach the caller as rejections; the log says what went on meanwhile. Silent by default. */
  logger?: Logger
  /** Epoch milliseconds. */
  now?: () => number
}

export const PRODUCER_DEFAULTS = {
  clientId: 'countersink-producer',
  format: 'packed' as const,
  combine: false,
  lingerMs: 5,
  // Larger buffers are no faster: what lives longer only costs the garbage collector more. Bulk
  // loads took 3.5-3.9 us of CPU an event so, and 5.9-6.1 us with 100,000 events and 512 KiB.
  batchBytesMax: 128 * 1024,
  bufferBytesMax: 16 * 1024 * 1024,
  bufferEventsMax: 20_000,
  waitingEventsMax: 100_000,
  deliveryTimeoutMs: 30_000,
  stopTimeoutMs: 10_000,
  compression: 'none' as const,
}

/** The options with what was left out. Throws CONFIG_INVALID. */
export function settingsOf(options: ProducerOptions) {
  const settings = { ...PRODUCER_DEFAULTS, ...options }
  const { batchBytesMax } = settings
  if (batchBytesMax >= 1 && batchBytesMax <= BATCH_BYTES_MAX) return settings
  throw new CountersinkError(
    'CONFIG_INVALID',
    `batchBytesMax is ${batchBytesMax}: give 1 to ${BATCH_BYTES_MAX} bytes, since a broker takes no batch of more than 1 MiB, all overhead included`,
  )
}
