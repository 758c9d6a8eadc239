/** Every way in which Countersink itself can fail. Bad data is not among them: that is a value (see reasons.ts). */
export type ErrorCode =
  | 'CONFIG_INVALID'
  | 'CONTRACT_INVALID'
  | 'CONTRACT_CHANGE_NEEDS_REPLAY'
  | 'POSITION_INVALID'
  | 'EVENT_INVALID'
  | 'KAFKA_UNAVAILABLE'
  | 'KAFKA_REFUSED'
  | 'TOPIC_MISSING'
  | 'TOPIC_UNSUITABLE'
  | 'POSTGRES_UNAVAILABLE'
  | 'POSTGRES_REFUSED'
  | 'MIGRATION_FAILED'
  | 'COMMIT_FENCED'
  | 'COMMIT_UNSETTLED'
  | 'PARTITION_HALTED'
  | 'NOT_DELIVERED'
  | 'TIMED_OUT'
  | 'CLOSED'
  | 'TOOL_MISSING'
  | 'PORT_IN_USE'
  | 'LIMIT_REACHED'
  | 'API_UNAVAILABLE'
  | 'API_REFUSED'

export type ErrorOptions = {
  cause?: unknown
  /** True when the same call may succeed later without anybody changing anything. */
  retryable?: boolean
}

/** The one error type. `code` is for programs, `message` says to a person what happened and what to do. */
export class CountersinkError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CountersinkError'
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
