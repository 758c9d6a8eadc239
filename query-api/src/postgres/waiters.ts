import { CountersinkError } from '@countersink/shared/errors'

type Waiter<T> = { met: (value: T) => boolean; resolve: (value: T) => void }

const WAITERS_MAX = 10_000

/** Promises of what a condition says about a value that changes over time, each with a deadline. */
export class Waiters<T> {
  readonly #waiting = new Set<Waiter<T>>()

  get size(): number {
    return this.#waiting.size
  }

  /** Rejects with TIMED_OUT at `deadline` (epoch milliseconds), at once with LIMIT_REACHED when too many wait. */
  wait(met: (value: T) => boolean, deadline: number, what: string): Promise<T> {
    if (this.#waiting.size >= WAITERS_MAX) {
      const error = new CountersinkError('LIMIT_REACHED', 'too many requests wait', {
        retryable: true,
      })
      return Promise.reject(error)
    }
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter<T> = {
        met,
        resolve: (value) => {
          clearTimeout(timer)
          resolve(value)
        },
      }
      const timer = setTimeout(
        () => {
          this.#waiting.delete(waiter)
          reject(new CountersinkError('TIMED_OUT', what, { retryable: true }))
        },
        Math.max(0, deadline - Date.now()),
      )
      this.#waiting.add(waiter)
    })
  }

  /** Lets go all whose condition the value meets. */
  tell(value: T): void {
    for (const waiter of this.#waiting) {
      if (!waiter.met(value)) continue
      this.#waiting.delete(waiter)
      waiter.resolve(value)
    }
  }
}
