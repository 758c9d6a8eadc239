import { join } from 'node:path'
import type { Encoding } from '../topic-load.ts'
import { runReported } from './reported-run.ts'
import type { Side } from './side.ts'

const BENCH = join(import.meta.dirname, '..')

/** Reading the topic and doing nothing: what no consumer in this runtime can be faster than. */
function limit(encoding: Encoding, title: string, eventsPerSecondGuess: number): Side {
  return {
    name: encoding === 'json' ? 'limit' : 'limit-packed',
    title,
    encoding,
    eventsPerSecondGuess,
    run: async ({ servers, run: name, load }) => {
      const records = load.ends.reduce((sum, end) => sum + end, 0)
      const args = [servers.brokers, load.topic, name, String(records), String(load.events)]
      const script = join(BENCH, 'limit-reader.ts')
      const program = {
        command: process.execPath,
        args: ['--max-semi-space-size=64', script, ...args],
        cwd: BENCH,
      }
      return { ...(await runReported(servers, program, load.events)), stored: {} }
    },
  }
}

export const limitJson = limit('json', 'the limit: reading JSON events, doing nothing', 1_200_000)
export const limitPacked = limit(
  'packed',
  'the limit: reading packed records, doing nothing',
  10_000_000,
)
