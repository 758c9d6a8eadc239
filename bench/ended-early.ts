type Stop = () => Promise<void> | void

const SIGNALS = { SIGTERM: 143, SIGHUP: 129 } as const
const stops = new Set<Stop>()
let isWatched = false

/**
 * Runs `stop` when the benchmark is ended from outside (`timeout`, a closed terminal) while what it
 * has started still runs: the last started first. Returns how to take it back. Ctrl-C reaches all
 * processes of a terminal by itself.
 */
export function whenEndedEarly(stop: Stop): () => void {
  if (!isWatched) watch()
  stops.add(stop)
  return () => stops.delete(stop)
}

function watch(): void {
  isWatched = true
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => {
      // Work that its servers are taken from fails, and that is no news.
      for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => {})
      void stopAll().finally(() => process.exit(code))
    })
  }
}

async function stopAll(): Promise<void> {
  for (const stop of [...stops].reverse()) await stop()
}
