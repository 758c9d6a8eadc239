import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'

const LOOK_INTERVAL_MS = 5000
const LOOK_MS_MAX = 2000

const status = z.object({
  partitions: z.array(z.object({ partition: z.int(), halted: z.string().optional() })),
})

export type HaltWatchOptions = {
  /** Address of the query API. */
  api: string
  /** How a person calls the command line of this stack. */
  cli: string
  say: (line: string) => void
}

export type HaltWatch = {
  /** Says what is new since the last look: who halted and what to do about it, who goes on. */
  look: () => Promise<void>
  /** Looks again and again. */
  start: () => void
  stop: () => void
}

/**
 * A stack is up although partitions are halted, which wait for a decision that nobody takes who has
 * not heard of them. An API that does not answer is no news of them.
 */
export function createHaltWatch({ api, cli, say }: HaltWatchOptions): HaltWatch {
  const stopping = new AbortController()
  let told = new Map<number, string>()

  async function look(): Promise<void> {
    const halted = await readHalted(api)
    if (halted === undefined) return
    for (const [partition, reason] of halted) {
      if (told.get(partition) !== reason) halts(partition, reason)
    }
    for (const partition of told.keys()) {
      if (!halted.has(partition)) say(`Partition ${partition} is not halted any more.`)
    }
    told = halted
  }

  function halts(partition: number, reason: string): void {
    say(`Partition ${partition} is halted, and counts nothing until you decide: ${reason}`)
    say(`  All partitions:       ${cli} status`)
    say(`  What can be decided:  ${cli} gap accept --partition ${partition}`)
  }

  async function run(): Promise<void> {
    const { signal } = stopping
    while (!signal.aborted) {
      await sleep(LOOK_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
      if (!signal.aborted) await look()
    }
  }

  return { look, start: () => void run(), stop: () => stopping.abort() }
}

/** Partition -> why it is halted; undefined when the API cannot say. */
async function readHalted(api: string): Promise<Map<number, string> | undefined> {
  try {
    const response = await fetch(`${api}/v1/status`, { signal: AbortSignal.timeout(LOOK_MS_MAX) })
    const { partitions } = status.parse(await response.json())
    const halted = partitions.filter((one) => one.halted !== undefined)
    return new Map(halted.map(({ partition, halted: reason = '' }) => [partition, reason]))
  } catch {
    return undefined
  }
}
