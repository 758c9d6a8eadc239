/** Wakes whoever waits; a wake while nobody waits is kept for the next one. */
export type Signal = {
  notify(): void
  /** Resolves at the next notify(), or after `timeoutMs`; for one waiter at a time. */
  wait(timeoutMs: number): Promise<void>
}

export function createSignal(): Signal {
  let pending = false
  let wake: (() => void) | undefined
  return {
    notify() {
      pending = true
      wake?.()
    },
    async wait(timeoutMs) {
      if (!pending) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = undefined
      }
      pending = false
    },
  }
}
