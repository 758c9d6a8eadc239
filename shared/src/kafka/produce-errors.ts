import { CountersinkError } from '../errors.ts'

/** What to do about the error code that a broker gave for one partition of a produce request. */
export type ProduceVerdict =
  | 'written'
  /** The same batch again, with the same sequence: the broker drops it if it has it. */
  | 'again'
  /** The broker and we disagree about the sequence: again under a new producer id. */
  | 'again-as-new'
  | 'too-large'
  | 'refused'

const VERDICTS = new Map<number, ProduceVerdict>([
  [0, 'written'],
  // DUPLICATE_SEQUENCE_NUMBER: written by an earlier try, too long ago to know where.
  [46, 'written'],
  [2, 'again'], // CORRUPT_MESSAGE: damaged on its way
  [3, 'again'], // UNKNOWN_TOPIC_OR_PARTITION: just made, or just deleted
  [5, 'again'], // LEADER_NOT_AVAILABLE
  [6, 'again'], // NOT_LEADER_FOR_PARTITION
  [7, 'again'], // REQUEST_TIMED_OUT
  [9, 'again'], // REPLICA_NOT_AVAILABLE
  [13, 'again'], // NETWORK_EXCEPTION
  [19, 'again'], // NOT_ENOUGH_REPLICAS
  [20, 'again'], // NOT_ENOUGH_REPLICAS_AFTER_APPEND
  [56, 'again'], // KAFKA_STORAGE_ERROR
  [89, 'again'], // THROTTLING_QUOTA_EXCEEDED
  [45, 'again-as-new'], // OUT_OF_ORDER_SEQUENCE_NUMBER
  [47, 'again-as-new'], // INVALID_PRODUCER_EPOCH
  [49, 'again-as-new'], // INVALID_PRODUCER_ID_MAPPING
  [59, 'again-as-new'], // UNKNOWN_PRODUCER_ID
  [10, 'too-large'], // MESSAGE_TOO_LARGE
  [18, 'too-large'], // RECORD_LIST_TOO_LARGE
])

export function verdictOf(errorCode: number): ProduceVerdict {
  return VERDICTS.get(errorCode) ?? 'refused'
}

export function refusal(topic: string, partition: number, errorCode: number): CountersinkError {
  const place = `partition ${partition} of ${topic}`
  return verdictOf(errorCode) === 'too-large'
    ? new CountersinkError('LIMIT_REACHED', `the broker finds a batch for ${place} too large`)
    : new CountersinkError('KAFKA_REFUSED', `the broker refused a batch for ${place}: ${errorCode}`)
}
