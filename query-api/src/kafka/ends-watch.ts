import type { Logger } from '@countersink/shared/log'
import { LogEnds } from '../core/log-ends.ts'

export type EndsWatch = {
  start(): void
  stop(): Promise<void>
  /** What has been seen so far. */
  seen: LogEnds
  /** The same after another look, when the last one is not from just now; bounded in time. */
  lately(): Promise<LogEnds>
  /** Milliseconds since the last look that succeeded. */
  stillForMs(): number
}

export type EndsWatchOptions = {
  /** partition -> the offset after the last record. */
  readEnds: () => Promise<ReadonlyMap<number, number>>
  logger: Logger
}

const LOOK_INTERVAL_MS = 500
const RECENT_MS_MAX = 500
const LATELY_WAIT_MS_MAX = 1_000

/** Looks twice a second where the log ends. Kafka away makes answers say less, never fail. */
export function createEndsWatch({ readEnds, logger }: EndsWatchOptions): EndsWatch {
  const seen = new LogEnds()
  let lookedAt = 0
  let looking: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let failing = false

  function look(): Promise<void> {
    looking ??= (async () => {
      const began = Date.now()
      try {
        // The time before the request: what is appended while it travels may not have been seen.
        seen.observe(await readEnds(), began)
        lookedAt = began
        if (failing) logger.info('the end of the log is seen again')
        failing = false
      } catch (error) {
        if (!failing) logger.warn({ err: error }, 'the end of the log cannot be seen')
        failing = true
      } finally {
        looking = undefined
      }
    })()
    return looking
  }

  async function lookOn(): Promise<void> {
    await look()
    if (!stopped) timer = setTimeout(() => void lookOn(), LOOK_INTERVAL_MS)
  }

  return {
    seen,
    start() {
      if (!stopped && timer === undefined && looking === undefined) void lookOn()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await looking
    },
    async lately() {
      if (Date.now() - lookedAt <= RECENT_MS_MAX || failing || stopped) return seen
      const waited = Promise.withResolvers<void>()
      const limit = setTimeout(() => waited.resolve(), LATELY_WAIT_MS_MAX)
      await Promise.race([look(), waited.promise])
      clearTimeout(limit)
      return seen
    },
    stillForMs: () => Date.now() - lookedAt,
  }
}
