import { CountersinkError, messageOf } from '@countersink/shared/errors'
import pRetry from 'p-retry'
import type { z } from 'zod'

const REQUEST_MS_MAX = 30_000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2000
const PROBLEM_CHARS_MAX = 500

export type ApiClient = {
  /**
   * The parsed answer to GET `path`. A refused or broken connection, a time-out and a 5xx are tried
   * again with backoff until `patienceMs` have passed. Throws API_UNAVAILABLE (retryable) then,
   * API_REFUSED with the server's words for a 4xx or an answer that is not what it should be.
   */
  get<T extends z.ZodType>(path: string, schema: T, patienceMs?: number): Promise<z.output<T>>
}

export class ApiRefusal extends CountersinkError {
  readonly status: number

  constructor(status: number, message: string) {
    super('API_REFUSED', message)
    this.status = status
  }
}

export function createApiClient(base: string, signal: AbortSignal, patienceMs = 0): ApiClient {
  const root = base.replace(/\/+$/, '')
  return {
    get: async (path, schema, patience = patienceMs) => {
      const body = await patiently(() => request(`${root}${path}`, signal), patience, signal)
      const parsed = schema.safeParse(body)
      if (parsed.success) return parsed.data
      throw new CountersinkError(
        'API_REFUSED',
        `${root}${path} does not answer like a Countersink query API of this version ` +
          `(${parsed.error.message.slice(0, PROBLEM_CHARS_MAX)})`,
      )
    },
  }
}

async function patiently<T>(
  attempt: () => Promise<T>,
  patienceMs: number,
  signal: AbortSignal,
): Promise<T> {
  if (patienceMs === 0) return attempt()
  return pRetry(attempt, {
    retries: Infinity,
    maxRetryTime: patienceMs,
    minTimeout: RETRY_MS_MIN,
    maxTimeout: RETRY_MS_MAX,
    // Many publishers may wait for one API that comes back.
    randomize: true,
    shouldRetry: ({ error }) => error instanceof CountersinkError && error.retryable,
    signal,
  })
}

async function request(url: string, signal: AbortSignal): Promise<unknown> {
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS_MAX)]),
    })
    text = await response.text()
  } catch (error) {
    signal.throwIfAborted()
    throw unavailable(`${new URL(url).origin} does not answer: ${causeOf(error)}`, error)
  }
  if (response.status >= 500) throw unavailable(problemOf(response.status, text))
  if (!response.ok) throw new ApiRefusal(response.status, problemOf(response.status, text))
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CountersinkError('API_REFUSED', `${url} does not answer JSON`, { cause: error })
  }
}

function unavailable(message: string, cause?: unknown): CountersinkError {
  return new CountersinkError('API_UNAVAILABLE', message, { retryable: true, cause })
}

/** fetch says "fetch failed"; what failed is its cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof AggregateError) return messageOf(cause.errors[0])
  return messageOf(cause ?? error)
}

/** The words of a Problem Details answer, else the beginning of whatever it is. */
function problemOf(status: number, text: string): string {
  let problem: unknown
  try {
    problem = JSON.parse(text)
  } catch {
    problem = undefined
  }
  const field = (name: string): string | undefined => {
    if (typeof problem !== 'object' || problem === null) return undefined
    const value: unknown = Reflect.get(problem, name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const words = field('detail') ?? field('title') ?? text.slice(0, PROBLEM_CHARS_MAX)
  return `the API answers ${status}${words === '' ? '' : `: ${words}`}`
}
