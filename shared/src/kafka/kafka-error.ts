import { CountersinkError, messageOf } from '../errors.ts'

/**
 * The broker's name of an error ('UNKNOWN_MEMBER_ID'), or kafkajs' name of its own
 * ('KafkaJSConnectionError'), found through the wrappers that kafkajs' retries put around it.
 */
export function kafkaErrorType(error: unknown): string {
  let current = error
  let name = ''
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    if ('type' in current && typeof current.type === 'string') return current.type
    const [first]: unknown[] =
      'errors' in current && Array.isArray(current.errors) ? current.errors : []
    if (first !== undefined) return kafkaErrorType(first)
    if (!WRAPPERS.has(current.name)) name = current.name
    current = current.cause
  }
  return name
}

/** kafkajs hides the reasons of some refusals in a list inside the error. */
function reasonOf(error: unknown): string {
  const errors: unknown[] =
    error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  return errors.length === 0 ? messageOf(error) : errors.map(messageOf).join(', ')
}

const WRAPPERS = new Set([
  'KafkaJSError',
  'KafkaJSNonRetriableError',
  'KafkaJSNumberOfRetriesExceeded',
  'Error',
])

/** Errors after which the same call can succeed, once the broker or its leader is back. */
const UNAVAILABLE = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
  'KafkaJSBrokerNotFound',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
  'KafkaJSGroupCoordinatorNotFound',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_CONTROLLER',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

/** Maps what kafkajs throws to our one error type; its own are passed through. */
export function toCountersinkError(error: unknown, doing: string): CountersinkError {
  if (error instanceof CountersinkError) return error
  const type = kafkaErrorType(error)
  const message = `${doing}: ${reasonOf(error)}`
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return new CountersinkError('TOPIC_MISSING', message, { cause: error, retryable: true })
  }
  return UNAVAILABLE.has(type)
    ? new CountersinkError('KAFKA_UNAVAILABLE', message, { cause: error, retryable: true })
    : new CountersinkError('KAFKA_REFUSED', message, { cause: error })
}
